#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

/// y[b, c, r] = x[b, r, c] for elements of 1 or 4 bytes. NCHW to NHWC: rows = C, cols = H*W; back:
/// rows = H*W, cols = C. Rows of x may lie `x_row` elements apart, those of y `y_row` (0: without
/// gaps), where batch is 1.
struct TransposeArgs {
  int64_t batch = 1, rows = 1, cols = 1;
  int64_t batch_begin = 0, batch_end = -1;
  int64_t x_row = 0, y_row = 0;
  const void* x = nullptr;
  void* y = nullptr;  ///< not x
};

struct TransposeFunctions {
  void (*bytes1)(const TransposeArgs&);
  void (*bytes4)(const TransposeArgs&);
};
struct TransposeKernel {
  RowInfo row;
  const TransposeFunctions* call;
};

std::span<const TransposeKernel> transpose_kernels();
Choice<TransposeKernel> select_transpose();

}  // namespace lapidary::kernels
