#pragma once

#include "kernels/conv_f32/conv_f32.h"

namespace lapidary::kernels {

/// conv_f32's formula, arguments and run_conv_f32 with weights kept as FP16 (rounded half to even
/// when packed, infinite beyond 65504) and widened where they are multiplied: half the bytes of
/// weights, the results of conv_f32 on weights that FP16 represents. A matrix product is its
/// gemm_shape.
std::span<const ConvF32Kernel> conv_f16w_kernels();
Choice<ConvF32Kernel> select_conv_f16w(const ConvShape&);

/// True where FP16 represents every one of `count` values.
bool fits_f16(const float* values, int64_t count);

}  // namespace lapidary::kernels
