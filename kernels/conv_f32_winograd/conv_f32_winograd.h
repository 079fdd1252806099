#pragma once

#include "kernels/conv_f32/conv_f32.h"

namespace lapidary::kernels {

/// FP32 convolution by minimal filtering F(m x m, 3 x 3), m = 2 or 4 (Winograd 1980; Lavin, Gray
/// 2015, arXiv:1509.09308): conv_f32's formula, arguments and run_conv_f32, for shapes that
/// takes_winograd. Tiles of m x m outputs of a channel cost (m + 2)^2 products an input channel
/// instead of 9 m^2: 2.25 times fewer for m = 2, 4 times for m = 4.
///
/// The sum is another one than conv_f32's: with B = sum_i max|x[.,.,i]| * sum_{ky,kx}
/// |w[c,i,ky,kx]|, the maximum over the tile's (m + 2)^2 inputs,
///   |y - exact| <= winograd_tolerance(m) * (B + |bias| + |residual|).
/// Every row gives the bits of the scalar row, however the work is split: tiles are counted from
/// each image's first line, and a range that starts within them computes them whole.
constexpr bool takes_winograd(const ConvShape& s) {
  return s.kernel_h == 3 && s.kernel_w == 3 && s.stride_h == 1 && s.stride_w == 1 &&
         s.dilation_h == 1 && s.dilation_w == 1 && s.groups == 1;
}
constexpr float winograd_tolerance(int64_t m) { return m == 2 ? 1e-6f : 4e-6f; }

std::span<const ConvF32Kernel> conv_f32_winograd2_kernels();
std::span<const ConvF32Kernel> conv_f32_winograd4_kernels();
/// Throws Error{kInternal} for shapes that are not taken and for other m.
Choice<ConvF32Kernel> select_conv_f32_winograd(const ConvShape&, int64_t m);

/// The m of 0, 2 and 4, at most `most`, with which a convolution is fastest; 0: conv_f32. A rule of
/// one image's shape alone, so that neither machine, threads nor batch change a result.
int64_t fastest_winograd(const ConvShape&, int64_t most);

}  // namespace lapidary::kernels
