#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "lapidary/tensor.h"

namespace lapidary {

/// The float8 forms of ONNX: sign, exponent, mantissa; value = (1 + m / 2^mantissa) 2^(e - bias),
/// without the 1 and with e = 1 where the exponent bits are 0. FNUZ ("finite, NaN, unsigned zero"):
/// no infinities, no -0, whose code means NaN.
struct Float8Format {
  int mantissa = 3, bias = 7;
  uint8_t largest = 0x7E;  ///< code of the largest finite value
  bool infinities = false, fnuz = false;

  uint8_t nan() const { return fnuz ? 0x80 : 0x7F; }
};

constexpr bool is_float8(DType t) { return t >= DType::kF8E4M3FN && t <= DType::kF8E5M2FNUZ; }

/// Of a type that is_float8.
constexpr Float8Format float8_format(DType t) {
  switch (t) {
    case DType::kF8E4M3FNUZ:
      return {3, 8, 0x7F, false, true};
    case DType::kF8E5M2:
      return {2, 15, 0x7B, true, false};
    case DType::kF8E5M2FNUZ:
      return {2, 16, 0x7F, false, true};
    default:
      return {3, 7, 0x7E, false, false};
  }
}

inline float from_float8(uint8_t code, DType type) {
  const Float8Format f = float8_format(type);
  const int magnitude = code & 0x7F, exponent = magnitude >> f.mantissa;
  const bool infinite = f.infinities && magnitude == f.largest + 1;
  if (f.fnuz ? code == f.nan() : magnitude > f.largest && !infinite)
    return std::numeric_limits<float>::quiet_NaN();
  const int one = exponent > 0 ? 1 << f.mantissa : 0;
  const int digits = (magnitude & ((1 << f.mantissa) - 1)) + one;
  const float value =
      infinite ? std::numeric_limits<float>::infinity()
               : std::ldexp(static_cast<float>(digits), (one ? exponent : 1) - f.bias - f.mantissa);
  return code & 0x80 ? -value : value;
}

/// Rounds half to even. Beyond the largest value: that one where `saturate`, else infinity, or NaN
/// where there is none (the table of Cast-19).
inline uint8_t to_float8(double value, DType type, bool saturate) {
  const Float8Format f = float8_format(type);
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  const auto beyond = [&]() -> uint8_t {
    if (saturate) return sign | f.largest;
    if (f.infinities) return sign | (f.largest + 1);
    return f.fnuz ? f.nan() : sign | f.nan();
  };
  if (std::isnan(value)) return f.fnuz ? f.nan() : sign | f.nan();
  if (std::isinf(value)) return beyond();
  const double magnitude = std::abs(value);
  if (magnitude == 0) return f.fnuz ? 0 : sign;
  const int lowest = 1 - f.bias, exponent = std::max(std::ilogb(magnitude), lowest);
  // A carry out of the mantissa moves on to the next exponent by itself.
  const double code = std::ldexp(exponent - lowest, f.mantissa) +
                      std::nearbyint(std::ldexp(magnitude, f.mantissa - exponent));
  if (code > f.largest) return beyond();
  return code == 0 && f.fnuz ? 0 : sign | static_cast<uint8_t>(code);
}

}  // namespace lapidary
