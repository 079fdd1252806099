#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

/// exp:     y[i] = e^(x[i] - shift)
/// sigmoid: y[i] = 1 / (1 + e^-x[i])
/// silu:    y[i] = x[i] / (1 + e^-x[i])
/// erf:     y[i] = 2 / sqrt(pi) * integral of e^(-t^2) over [0, x[i]]; relative error below 3e-7
/// gelu:    y[i] = x[i] / 2 (1 + erf(x[i] / sqrt 2)); error below 1e-7 max(1, |y[i]|)
/// tanh_gelu: y[i] = x[i] / 2 (1 + tanh(sqrt(2 / pi) (x[i] + 0.044715 x[i]^3))); the same error
/// Relative error of e^v below 2e-7; 0 for v < -86.6, infinity for v > 88.72; NaN stays NaN.
struct ExpF32Args {
  int64_t count = 0;
  const float* x = nullptr;  ///< 64 readable bytes after it
  float* y = nullptr;        ///< may be x
  float shift = 0;           ///< exp only
};

struct ExpF32Functions {
  void (*exp)(const ExpF32Args&);
  void (*sigmoid)(const ExpF32Args&);
  void (*silu)(const ExpF32Args&);
  void (*erf)(const ExpF32Args&);
  void (*gelu)(const ExpF32Args&);
  void (*tanh_gelu)(const ExpF32Args&);
};
struct ExpF32Kernel {
  RowInfo row;
  const ExpF32Functions* call;
};

std::span<const ExpF32Kernel> exp_f32_kernels();
Choice<ExpF32Kernel> select_exp_f32();

}  // namespace lapidary::kernels
