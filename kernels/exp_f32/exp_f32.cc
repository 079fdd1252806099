#include "kernels/exp_f32/exp_f32.h"

#include "kernels/exp_f32/scalar.h"
#include "kernels/families.h"

namespace lapidary::kernels {

namespace {

void exp(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = exp_value(p.x[i] - p.shift);
}
void sigmoid(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = logistic_value(p.x[i]);
}
void silu(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = p.x[i] * logistic_value(p.x[i]);
}
void gelu(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = gelu_value(p.x[i]);
}
void tanh_gelu(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = tanh_gelu_value(p.x[i]);
}
void erf(const ExpF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = erf_value(p.x[i]);
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ExpF32Functions name;
#include "kernels/exp_f32/kernels.def"
#undef LAPIDARY_KERNEL

const ExpF32Functions exp_f32_scalar = {exp, sigmoid, silu, erf, gelu, tanh_gelu};

std::span<const ExpF32Kernel> exp_f32_kernels() {
  static const ExpF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"exp_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/exp_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> exp_f32_rows() { return rows_of(exp_f32_kernels()); }

Choice<ExpF32Kernel> select_exp_f32() { return choose(exp_f32_kernels()); }

}  // namespace lapidary::kernels
