#pragma once

#include <vector>

#include "lapidary/tensor.h"
#include "src/ops/opdef.h"

namespace lapidary {

/// One spatial axis of a ConvTranspose: y[i stride + k dilation - pad] += x[i] w[k].
struct ConvTransposeAxis {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;
};

/// The spatial axes of a node over x [N, C, in...] and w [C, M/group, kernel...]. Throws
/// Error{kInvalid} where attributes contradict each other.
LAPIDARY_API std::vector<ConvTransposeAxis> conv_transpose_axes(const AttrView& attrs, const Shape& x,
                                                   const Shape& w);

}  // namespace lapidary
