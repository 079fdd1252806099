#pragma once

#include <bit>
#include <cstdint>

#include "lapidary/tensor.h"

namespace lapidary {

/// binary32 -> binary16, round half to even; overflow to infinity, subnormals kept, NaN stays NaN.
inline Half to_half(float value) {
  const uint32_t f = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (f >> 16) & 0x8000u;
  const uint32_t magnitude = f & 0x7FFFFFFFu;
  if (magnitude >= 0x7F800000u)
    return {static_cast<uint16_t>(sign | 0x7C00u | (magnitude > 0x7F800000u ? 0x200u : 0))};
  if (magnitude >= 0x477FF000u) return {static_cast<uint16_t>(sign | 0x7C00u)};  // >= 65520
  if (magnitude < 0x38800000u) {  // below 2^-14: let the float adder round at 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000u))};
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return {static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xFFFu + odd) >> 13))};
}

inline float from_half(Half half) {
  const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000u) << 16;
  const uint32_t magnitude = half.bits & 0x7FFFu;
  if (magnitude >= 0x7C00u)
    return std::bit_cast<float>(sign | 0x7F800000u | ((magnitude & 0x3FFu) << 13));
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;  // exponent bias 15 -> 127
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(scaled));
}

/// binary32 -> bfloat16, round half to even; NaN stays NaN.
inline BFloat16 to_bfloat16(float value) {
  const uint32_t f = std::bit_cast<uint32_t>(value);
  if ((f & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<uint16_t>((f >> 16) | 0x40u)};
  return {static_cast<uint16_t>((f + 0x7FFFu + ((f >> 16) & 1u)) >> 16)};
}

inline float from_bfloat16(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

}  // namespace lapidary
