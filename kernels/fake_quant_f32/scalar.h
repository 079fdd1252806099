#pragma once

#include <cmath>

#include "kernels/fake_quant_f32/fake_quant_f32.h"

// One element of fake_quant_f32, for scalar rows.

namespace lapidary::kernels::fake {
namespace {

/// u where it can be inside, else anything that rounds to outside; NaN to below.
inline float quotient(float x, float scale, float lo, float hi) {
  const float u = x / scale;
  return u > lo - 1 ? (u < hi + 1 ? u : hi + 1) : lo - 1;
}

inline float clamped(float r, float lo, float hi) { return r < lo ? lo : r > hi ? hi : r; }

inline float value(float x, float scale, float lo, float hi) {
  if (std::isnan(x)) return x;
  // As an integer: -0 becomes 0.
  const auto r = static_cast<float>(static_cast<int>(rintf(quotient(x, scale, lo, hi))));
  return clamped(r, lo, hi) * scale;
}

/// dx; what one element adds to the sums.
inline float step(FakeQuantSum sum, float g, float x, float scale, float lo, float hi, float& s,
                  float& z) {
  const float u = quotient(x, scale, lo, hi), r = rintf(u);
  const bool inside = r >= lo && r <= hi;
  if (sum == FakeQuantSum::kScale || sum == FakeQuantSum::kScaleAndZero)
    s += g * (inside ? r - u : clamped(r, lo, hi));
  if (sum == FakeQuantSum::kScaleAndZero) z += inside ? 0.0f : g;
  if (sum == FakeQuantSum::kAbove) s += r > hi ? g : 0.0f;
  return inside ? g : 0.0f;
}

}  // namespace
}  // namespace lapidary::kernels::fake
