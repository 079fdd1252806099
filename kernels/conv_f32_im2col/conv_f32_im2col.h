#pragma once

#include "kernels/conv_f32/conv_f32.h"

namespace lapidary::kernels {

/// FP32 convolution as the product of two matrices: conv_f32's formula, arguments and run_conv_f32.
/// Some output lines' windows are written out, a row of KH*KW*IC/G inputs for each output, and
/// multiplied by the filters with the row of gemm_f32 of the same name. It stands between the
/// sliding window (conv_f32_scalar) and the implicit GEMM (conv_f32), which writes nothing out.
std::span<const ConvF32Kernel> conv_f32_im2col_kernels();

}  // namespace lapidary::kernels
