#pragma once

#include "kernels/conv_shape.h"
#include "kernels/eltwise_s8/eltwise_s8.h"
#include "kernels/row.h"

namespace lapidary::kernels {

/// INT8 convolution and GEMM, NHWC, u8 activations:
///   acc[n,oy,ox,c] = bias[c] + sum_{ky,kx,i} (x[n, oy*sh + ky*dh - pad_top, ox*sw + kx*dw -
///   pad_left, i0+i] - zx)
///                                            * (w[c,i,ky,kx] - zw[c]),      i0 = (c / (OC/G)) *
///                                            (IC/G),
/// in int32 (two's complement, wrapping); x is zx outside the image. Then
///   kI32: y = acc
///   kF32: y = float(acc) * m[c] (+ float_bias[c])
///   kU8:  y = rint(min(max(float(acc) * m[c], lo - zy), hi - zy)) + zy, half to even,
///         then table[y] where a table is given (a lo of 128 or more spares half of it), then the
///         QLinearAdd with the residual where given.
/// s8 activations are the u8 ones with 128 added, their zero points too.
enum class ConvS8Output { kU8, kI32, kF32 };

/// Weights as the graph holds them, before packing.
struct ConvS8Weights {
  const void* data = nullptr;  ///< s8, or u8 where `is_unsigned`
  bool is_unsigned = false;
  /// Elements between neighbours along each axis; {0,0,0,0} means OIHW, [OC, IC/G, KH, KW],
  /// contiguous. A GEMM's B of [K, N] has oc_stride 1 and ic_stride N.
  int64_t oc_stride = 0, ic_stride = 0, kh_stride = 0, kw_stride = 0;
  const int32_t* zero_points = nullptr;  ///< [OC]; null: `zero_point` for all
  int32_t zero_point = 0;
};

/// y = QLinearAdd of the convolution's u8 result and `data`, in place of the result.
struct ConvS8Residual {
  /// NHWC, `stride` elements between pixels; null: none. May be y where the distances agree, but
  /// not for depthwise rows.
  const uint8_t* data = nullptr;
  int64_t stride = 0;  ///< 0: out_c
  AddU8 add;
  bool conv_is_a = true;  ///< the result is operand a, the residual b; otherwise the reverse
};

struct ConvS8Args {
  ConvShape shape;
  WorkRange range;
  const uint8_t* x = nullptr;    ///< [batch, in_h, in_w, in_c], 64 readable bytes after it
  const void* packed = nullptr;  ///< by pack, set_bias and (kU8, kF32) set_multipliers
  void* y = nullptr;             ///< [batch, out_h, out_w] pixels of out_c elements
  int64_t y_stride = 0;          ///< elements between pixels of y; 0: out_c
  ConvS8Output output = ConvS8Output::kU8;
  int x_zero = 0;  ///< the padding's value
  int y_zero = 0, lo = 0, hi = 255;
  const uint8_t* table = nullptr;  ///< 256 bytes
  ConvS8Residual residual;
  const float* float_bias = nullptr;  ///< [OC], kF32
  void* scratch = nullptr;  ///< scratch_bytes(shape), 64-byte aligned, one per concurrent call
};

struct ConvS8Functions {
  /// Bytes of packed weights (64-byte aligned), and of a call's scratch.
  size_t (*packed_bytes)(const ConvShape&);
  size_t (*scratch_bytes)(const ConvShape&);
  /// Blocks of output channels by which WorkRange splits.
  int64_t (*blocks)(const ConvShape&);
  /// Writes everything but bias (0 and x_zero 0) and multipliers (1).
  void (*pack)(const ConvShape&, const ConvS8Weights&, void* packed);
  void (*run)(const ConvS8Args&);
};
struct ConvS8Kernel {
  RowInfo row;
  const ConvS8Functions* call;
};

/// Stores bias[c] - x_zero * sum(w[c] - zw[c]); bias [OC] may be null (0). O(OC): may be called
/// between runs where x_zero is found at run time. The packed weights know their shape.
void set_bias(void* packed, const int32_t* bias, int x_zero);
/// m[c] = multipliers[c], or multipliers[0] for all where count is 1.
void set_multipliers(void* packed, const float* multipliers, int64_t count);
/// m = (xs * ws) / ys in float32, that association.
inline float requant_multiplier(float x_scale, float w_scale, float y_scale) {
  return (x_scale * w_scale) / y_scale;
}

std::span<const ConvS8Kernel> conv_s8_kernels();
Choice<ConvS8Kernel> select_conv_s8(const ConvShape&);
/// The whole output on up to `threads` threads (0: thread_count()); `args.scratch` holds
/// scratch_bytes(kernel, shape, threads).
void run_conv_s8(const ConvS8Kernel&, const ConvS8Args&, int threads = 0);
size_t scratch_bytes(const ConvS8Kernel&, const ConvShape&, int threads = 0);

}  // namespace lapidary::kernels
