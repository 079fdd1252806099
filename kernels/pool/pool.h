#pragma once

#include "kernels/conv_shape.h"
#include "kernels/row.h"

namespace lapidary::kernels {

/// Windows over NHWC; shape.in_c == shape.out_c, groups ignored. n is the number of elements of the
/// window inside the image, or kernel_h * kernel_w where `count_include_pad`.
/// A window holds at least one element of the image, unless count_include_pad.
///   max: y = max x (NaN where any is NaN);  average f32: y = sum(x) / n
///   average u8: y = clamp(rint(float(sum(x - x_zero)) * (x_scale / (float(n) * y_scale))) +
///   y_zero, lo, hi)
/// A global pool is a window of the whole image. Work is split by rows: batch * out_h.
struct PoolArgs {
  ConvShape shape;
  int64_t row_begin = 0, row_end = -1;
  const void* x = nullptr;  ///< u8 or float
  void* y = nullptr;
  int64_t y_stride = 0;  ///< elements between pixels of y; 0: out_c
  bool count_include_pad = false;
  float x_scale = 1, y_scale = 1;
  int x_zero = 0, y_zero = 0, lo = 0, hi = 255;
};

struct PoolFunctions {
  void (*max_u8)(const PoolArgs&);
  void (*average_u8)(const PoolArgs&);
  void (*max_f32)(const PoolArgs&);
  void (*average_f32)(const PoolArgs&);
};
struct PoolKernel {
  RowInfo row;
  const PoolFunctions* call;
};

std::span<const PoolKernel> pool_kernels();
Choice<PoolKernel> select_pool();

}  // namespace lapidary::kernels
