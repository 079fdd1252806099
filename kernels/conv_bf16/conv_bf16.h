#pragma once

#include "kernels/conv_f32/conv_f32.h"

namespace lapidary::kernels {

/// conv_f32's formula, arguments and run_conv_f32 with both factors of every product rounded to
/// bfloat16:
///   y = activation(bias + sum r(x) r(w)  (+ residual)),
/// r(v) = v rounded half to even to 8 significant bits, NaN stays NaN, |v| < 2^-126 gives a zero of
/// v's sign. Products are exact, sums FP32. The AVX512-BF16 instruction flushes results below
/// 2^-126 to zero, so its row may differ from the scalar one by that much a term besides its
/// tolerance. A matrix product is its gemm_shape.
std::span<const ConvF32Kernel> conv_bf16_kernels();
/// Refuses (Choice::kernel null) shapes of several groups with an odd number of channels each:
/// products are made of pairs of channels.
Choice<ConvF32Kernel> select_conv_bf16(const ConvShape&);

}  // namespace lapidary::kernels
