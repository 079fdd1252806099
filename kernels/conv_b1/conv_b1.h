#pragma once

#include "kernels/conv_shape.h"
#include "kernels/row.h"

namespace lapidary::kernels {

/// Binary values, +1 and -1, are bits: 1 is +1. A pixel of C channels is b1_words(C) words of 32
/// bits; channel c is bit c % 32 of word c / 32, bits past the last channel are 1 wherever bits are
/// read or written.
constexpr int64_t b1_words(int64_t channels) { return (channels + 31) / 32; }

/// Outside the image x is +1, or 0: such products are left out, as those of a float convolution
/// padded with zeros.
enum class ConvB1Padding { kOne, kZero };

/// Binary convolution and GEMM (gemm_shape), NHWC, groups == 1:
///   acc[n,oy,ox,c] = sum_{ky,kx,i} x[n, oy*sh + ky*dh - pad_top, ox*sw + kx*dw - pad_left, i]
///                                  * w[c,i,ky,kx],
/// exact in int32 (KH * KW * IC < 2^30). Then
///   kI32:  y = acc
///   kF32:  y = float(acc) * scale[c] + shift[c], rounded twice
///   kBits: y = the bit of kF32's value >= 0
enum class ConvB1Output { kI32, kF32, kBits };

/// Weights before packing: +1 where the float is >= 0 (-0 too), -1 elsewhere.
struct ConvB1Weights {
  const float* data = nullptr;
  /// Elements between neighbours along each axis; {0,0,0,0} means OIHW, [OC, IC, KH, KW],
  /// contiguous. A GEMM's B of [K, N] has oc_stride 1 and ic_stride N.
  int64_t oc_stride = 0, ic_stride = 0, kh_stride = 0, kw_stride = 0;
};

struct ConvB1Args {
  ConvShape shape;  ///< in_c and out_c count channels, not words
  WorkRange range;
  const uint32_t* x = nullptr;  ///< [batch, in_h, in_w, b1_words(in_c)], 64 readable bytes after it
  const void* packed = nullptr;  ///< by pack and (kF32, kBits) set_affine
  void* y = nullptr;             ///< int32, float, or words of bits
  int64_t y_stride = 0;          ///< elements or words between pixels of y; 0: no gaps
  ConvB1Output output = ConvB1Output::kBits;
  ConvB1Padding padding = ConvB1Padding::kOne;
  void* scratch = nullptr;  ///< scratch_bytes(shape), 64-byte aligned, one per concurrent call
};

struct ConvB1Functions {
  /// Bytes of packed weights (64-byte aligned), and of a call's scratch.
  size_t (*packed_bytes)(const ConvShape&);
  size_t (*scratch_bytes)(const ConvShape&);
  /// Blocks of output channels by which WorkRange splits.
  int64_t (*blocks)(const ConvShape&);
  /// Writes everything; scale is 1 and shift 0.
  void (*pack)(const ConvShape&, const ConvB1Weights&, void* packed);
  void (*run)(const ConvB1Args&);
};
struct ConvB1Kernel {
  RowInfo row;
  const ConvB1Functions* call;
};

/// Stores scale and shift, finite, [OC] each, and the accumulator from which on the sign of
/// float(acc) * scale[c] + shift[c] changes. The packed weights know their shape.
void set_affine(void* packed, const float* scale, const float* shift);

std::span<const ConvB1Kernel> conv_b1_kernels();
/// Throws Error{kInternal} where groups != 1.
Choice<ConvB1Kernel> select_conv_b1(const ConvShape&);
/// The whole output on up to `threads` threads (0: thread_count()); `args.scratch` holds
/// scratch_bytes(kernel, shape, threads).
void run_conv_b1(const ConvB1Kernel&, const ConvB1Args&, int threads = 0);
size_t scratch_bytes(const ConvB1Kernel&, const ConvShape&, int threads = 0);

}  // namespace lapidary::kernels
