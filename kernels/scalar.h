#pragma once

#include <cmath>

#include "kernels/eltwise_f32/eltwise_f32.h"
#include "kernels/eltwise_s8/eltwise_s8.h"

// One value at a time: the formulas of the contracts, as the scalar rows and the tails of vector
// loops compute them. Everything is static, so that a copy compiled for one ISA never serves
// another.
namespace lapidary::kernels {
namespace {

/// rint(min(max(v, lo - zero), hi - zero)) + zero; NaN gives lo.
[[maybe_unused]] inline int saturate_rint(float v, int zero, int lo, int hi) {
  const float low = static_cast<float>(lo - zero), high = static_cast<float>(hi - zero);
  const float clamped = v > low ? (v < high ? v : high) : low;
  return static_cast<int>(rintf(clamped)) + zero;
}

[[maybe_unused]] inline uint8_t add_value(uint8_t a, uint8_t b, const AddU8& p) {
  const float inner = std::fma(static_cast<float>(b - p.shift), p.rb, p.f);
  return static_cast<uint8_t>(
      saturate_rint(std::fma(static_cast<float>(a - p.shift), p.ra, inner), p.shift, p.lo, p.hi));
}

[[maybe_unused]] inline uint8_t mul_value(uint8_t a, uint8_t b, const MulU8& p) {
  const float product = static_cast<float>((a - p.a_zero) * (b - p.b_zero));
  return static_cast<uint8_t>(
      saturate_rint(product * p.m + static_cast<float>(p.y_zero - p.shift), p.shift, p.lo, p.hi));
}

[[maybe_unused]] inline float activate(float v, const ActivationF32& p) {
  const float t = v < 0.0f ? p.slope * v : v;
  const float low = t < p.lo ? p.lo : t;
  return low > p.hi ? p.hi : low;
}

}  // namespace
}  // namespace lapidary::kernels
