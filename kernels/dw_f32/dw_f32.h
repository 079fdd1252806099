#pragma once

#include "kernels/conv_f32/conv_f32.h"

namespace lapidary::kernels {

/// FP32 depthwise convolution, NHWC: conv_f32's formula, arguments and run_conv_f32, for shapes
/// with is_depthwise(shape): any kernel, stride and dilation; weights [C, 1, KH, KW]. Work is split
/// by rows only: blocks is 1.
std::span<const ConvF32Kernel> dw_f32_kernels();
/// Throws Error{kInternal} where the shape is not depthwise.
Choice<ConvF32Kernel> select_dw_f32(const ConvShape&);

}  // namespace lapidary::kernels
