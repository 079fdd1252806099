#pragma once

#include "kernels/conv_shape.h"

namespace lapidary::kernels {

/// Filters that have tiles of their own, in which neighbouring outputs share columns of input.
constexpr bool dw_is_square(const ConvShape& s) {
  return s.kernel_h == s.kernel_w && (s.kernel_w == 3 || s.kernel_w == 5) &&
         (s.stride_w == 1 || (s.stride_w == 2 && s.dilation_w == 1));
}

/// 3x3 over so few channels that `lanes` of them span eight pixels or more, each an output.
constexpr bool dw_is_narrow(const ConvShape& s, int64_t lanes) {
  return dw_is_square(s) && s.kernel_w == 3 && s.stride_w == 1 && s.dilation_h == 1 &&
         8 * s.in_c <= lanes && lanes % s.in_c == 0;
}

}  // namespace lapidary::kernels
