#pragma once

#include "kernels/conv_shape.h"
#include "kernels/eltwise_f32/eltwise_f32.h"
#include "kernels/row.h"

namespace lapidary::kernels {

/// FP32 convolution, NHWC:
///   y[n,oy,ox,c] = activation(bias[c] + sum_{ky,kx,i} x[n, oy*sh + ky*dh - pad_top, ox*sw + kx*dw
///   - pad_left, i0+i]
///                                                     * w[c,i,ky,kx]  (+ residual)),   i0 = (c /
///                                                     (OC/G)) * (IC/G),
/// x is 0 outside the image. The order of the sum does not depend on the split of the work.
struct ConvF32Weights {
  const float* data = nullptr;
  /// Elements between neighbours along each axis; {0,0,0,0} means OIHW, [OC, IC/G, KH, KW],
  /// contiguous. A GEMM's B of [K, N] has oc_stride 1 and ic_stride N.
  int64_t oc_stride = 0, ic_stride = 0, kh_stride = 0, kw_stride = 0;
  const float* bias = nullptr;  ///< [OC]; null: 0
};

struct ConvF32Args {
  ConvShape shape;
  WorkRange range;
  const float* x = nullptr;  ///< [batch, in_h, in_w, in_c], 64 readable bytes after it
  const void* packed = nullptr;
  float* y = nullptr;    ///< [batch, out_h, out_w] pixels of out_c elements
  int64_t y_stride = 0;  ///< elements between pixels of y; 0: out_c
  ActivationF32 activation;
  /// Laid out as y, `residual_stride` between pixels; null: none. May be y where the distances
  /// agree, but not for depthwise rows.
  const float* residual = nullptr;
  int64_t residual_stride = 0;  ///< 0: out_c
  void* scratch = nullptr;      ///< scratch_bytes(shape), 64-byte aligned, one per concurrent call
};

struct ConvF32Functions {
  size_t (*packed_bytes)(const ConvShape&);
  size_t (*scratch_bytes)(const ConvShape&);
  /// Blocks of output channels by which WorkRange splits.
  int64_t (*blocks)(const ConvShape&);
  void (*pack)(const ConvShape&, const ConvF32Weights&, void* packed);
  void (*run)(const ConvF32Args&);
  /// Output lines, from an image's first on, that are computed together: ranges of rows that start
  /// elsewhere give the same, at greater cost.
  int64_t lines = 1;
};
struct ConvF32Kernel {
  RowInfo row;
  const ConvF32Functions* call;
};

std::span<const ConvF32Kernel> conv_f32_kernels();
Choice<ConvF32Kernel> select_conv_f32(const ConvShape&);
/// The whole output on up to `threads` threads (0: thread_count()); `args.scratch` holds
/// scratch_bytes(kernel, shape, threads).
void run_conv_f32(const ConvF32Kernel&, const ConvF32Args&, int threads = 0);
size_t scratch_bytes(const ConvF32Kernel&, const ConvShape&, int threads = 0);

}  // namespace lapidary::kernels
