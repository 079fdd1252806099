#pragma once

#include <cstdint>

namespace lapidary::kernels {

/// A convolution or pooling window over NHWC activations. Sizes are in elements and positive.
/// Bottom and right padding are what out_h and out_w make of the rest.
struct ConvShape {
  int64_t batch = 1;
  int64_t in_h = 1, in_w = 1, in_c = 1;
  int64_t out_h = 1, out_w = 1, out_c = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
  int64_t groups = 1;

  bool operator==(const ConvShape&) const = default;
};

/// y[m, n] = sum_k x[m, k] w[k, n] as the 1x1 convolution of one row of m pixels.
constexpr ConvShape gemm_shape(int64_t m, int64_t k, int64_t n) {
  ConvShape s;
  s.in_w = s.out_w = m;
  s.in_c = k;
  s.out_c = n;
  return s;
}

/// Input rows (columns) that one row of outputs spans, padding included.
constexpr int64_t span_h(const ConvShape& s) {
  return (s.out_h - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1;
}
constexpr int64_t span_w(const ConvShape& s) {
  return (s.out_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1;
}
/// True where some window reaches outside the input.
constexpr bool is_padded(const ConvShape& s) {
  return s.pad_top > 0 || s.pad_left > 0 || span_h(s) - s.pad_top > s.in_h ||
         span_w(s) - s.pad_left > s.in_w;
}
/// True for 1x1, stride 1, no padding: all pixels of all images are one row of a GEMM.
constexpr bool is_flat(const ConvShape& s) {
  return s.kernel_h == 1 && s.kernel_w == 1 && s.stride_h == 1 && s.stride_w == 1 &&
         s.out_h == s.in_h && s.out_w == s.in_w && s.pad_top == 0 && s.pad_left == 0;
}
/// One filter per channel: groups == in_c == out_c.
constexpr bool is_depthwise(const ConvShape& s) {
  return s.groups == s.in_c && s.groups == s.out_c;
}
/// Rows by which the work of a convolution is split: pixels where is_flat, otherwise lines of the
/// output, batch * out_h.
constexpr int64_t work_rows(const ConvShape& s) {
  return is_flat(s) ? s.batch * s.out_h * s.out_w : s.batch * s.out_h;
}

/// The part of the output that one call computes; ends of -1 mean all.
struct WorkRange {
  int64_t row_begin = 0, row_end = -1;      ///< of work_rows(shape)
  int64_t block_begin = 0, block_end = -1;  ///< of the kernel's blocks(shape) of output channels
};

}  // namespace lapidary::kernels
