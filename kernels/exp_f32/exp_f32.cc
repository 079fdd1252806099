#include "kernels/exp_f32/exp_f32.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/exp_f32/formula.h"

namespace lapidary::kernels {

namespace {

float exp_value(float x) {
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

float logistic(float x) { return 1.0f / (1.0f + exp_value(0.0f - x)); }

float polynomial(const float (&c)[8], float x) {
  float p = c[0];
  for (int i = 1; i < 8; ++i) p = p * x + c[i];
  return p;
}

float erf_value(float x) {
  using C = ErfConstants;
  if (std::isnan(x)) return x;
  const float a = std::fabs(x);
  if (a < C::kSplit) return x * polynomial(C::kP, x * x) + x;
  const float rest = 1.0f - exp_value(polynomial(C::kQ, std::min(a, C::kLast)));
  return x < 0 ? 0.0f - rest : rest;
}

void exp(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = exp_value(p.x[i] - p.shift);
}
void sigmoid(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = logistic(p.x[i]);
}
void silu(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = p.x[i] * logistic(p.x[i]);
}
void erf(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = erf_value(p.x[i]);
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ExpF32Functions name;
#include "kernels/exp_f32/kernels.def"
#undef LAPIDARY_KERNEL

const ExpF32Functions exp_f32_scalar = {exp, sigmoid, silu, erf};

std::span<const ExpF32Kernel> exp_f32_kernels() {
  static const ExpF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"exp_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/exp_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}

Choice<ExpF32Kernel> select_exp_f32() { return choose(exp_f32_kernels()); }

}  // namespace lapidary::kernels
