#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/exp_f32/formula.h"

// One value at a time, as the scalar rows compute it.
namespace lapidary::kernels {
namespace {

[[maybe_unused]] inline float exp_value(float x) {
  using C = ExpConstants;
  if (std::isnan(x)) return x;
  if (x < C::kLow) return 0.0f;
  if (x > C::kHigh) return C::kInfinity;
  const float whole = std::nearbyint(x * C::kLog2e);
  const float r = (x - whole * C::kLn2High) - whole * C::kLn2Low;
  float p = C::kP[0];
  for (int i = 1; i < 6; ++i) p = p * r + C::kP[i];
  const float e = (p * (r * r) + r) + 1.0f;
  return e * std::bit_cast<float>((static_cast<int>(whole) + 126) * (1 << 23)) * 2.0f;
}

/// e^x for x <= 0, and of NaN.
[[maybe_unused]] inline float exp_of_negative_value(float x) {
  using C = ExpConstants;
  if (std::isnan(x)) return x;
  if (x < C::kLow) return 0.0f;
  const float whole = std::nearbyint(x * C::kLog2e);
  const float r = std::fma(whole, -C::kLn2Low, std::fma(whole, -C::kLn2High, x));
  float p = C::kP[0];
  for (int i = 1; i < 6; ++i) p = std::fma(p, r, C::kP[i]);
  const float e = std::fma(p, r * r, r) + 1.0f;
  return std::bit_cast<float>(std::bit_cast<int32_t>(e) + static_cast<int32_t>(whole) * (1 << 23));
}

[[maybe_unused]] inline float logistic_value(float x) {
  return 1.0f / (1.0f + exp_value(0.0f - x));
}

[[maybe_unused]] inline float polynomial_value(const float (&c)[8], float x) {
  float p = c[0];
  for (int i = 1; i < 8; ++i) p = p * x + c[i];
  return p;
}

[[maybe_unused]] inline float erf_value(float x) {
  using C = ErfConstants;
  if (std::isnan(x)) return x;
  const float a = std::fabs(x);
  if (a < C::kSplit) return x * polynomial_value(C::kP, x * x) + x;
  const float rest = 1.0f - exp_value(polynomial_value(C::kQ, std::min(a, C::kLast)));
  return x < 0 ? 0.0f - rest : rest;
}

[[maybe_unused]] inline float gelu_value(float x) {
  const float a = std::fabs(x);
  float r = GeluConstants::kR[0];
  for (int i = 1; i < 11; ++i) r = std::fma(r, a, GeluConstants::kR[i]);
  const float tail = exp_of_negative_value(r);
  return x * (x < 0 ? tail : 1.0f - tail);
}

[[maybe_unused]] inline float tanh_gelu_value(float x) {
  using C = GeluConstants;
  return x * logistic_value(x * std::fma(x * x, C::kTanhCube, C::kTanhLinear));
}

}  // namespace
}  // namespace lapidary::kernels
