#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

/// Softmax of `rows` rows of `cols` elements:
///   t[c] = (x[c] * x_scale) * factor + mask[c]
///   y[c] = e^(t[c] - max(t)) * (1 / sum of e^(t - max(t)))
/// Relative error of e^v below 2e-7, 0 for v < -86.6; sums run in 16 lanes (lane_sum.h), so every
/// row of kernels.def gives the same bits. A NaN, an infinity or nothing but -infinity in a row
/// makes all of it NaN.
struct SoftmaxF32Args {
  int64_t rows = 0, cols = 0;
  int64_t x_row = 0, y_row = 0;  ///< elements between rows; 0: cols
  const float* x = nullptr;      ///< 64 readable bytes after it
  float* y = nullptr;            ///< may be x
  float x_scale = 1, factor = 1;
  const float* mask = nullptr;  ///< null: 0; 64 readable bytes after it
  int64_t mask_row = 0;         ///< elements between rows of the mask; 0: the same for all
};

struct SoftmaxF32Functions {
  void (*softmax)(const SoftmaxF32Args&);
};
struct SoftmaxF32Kernel {
  RowInfo row;
  const SoftmaxF32Functions* call;
};

std::span<const SoftmaxF32Kernel> softmax_f32_kernels();
Choice<SoftmaxF32Kernel> select_softmax_f32();

}  // namespace lapidary::kernels
