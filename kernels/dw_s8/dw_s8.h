#pragma once

#include "kernels/conv_s8/conv_s8.h"

namespace lapidary::kernels {

/// INT8 depthwise convolution, NHWC: conv_s8's formula, arguments and calls (set_bias,
/// set_multipliers, run_conv_s8) for shapes with is_depthwise(shape): any kernel, stride and
/// dilation; weights [C, 1, KH, KW]. Work is split by rows only: blocks is 1.
std::span<const ConvS8Kernel> dw_s8_kernels();
/// Throws Error{kInternal} where the shape is not depthwise.
Choice<ConvS8Kernel> select_dw_s8(const ConvShape&);

}  // namespace lapidary::kernels
