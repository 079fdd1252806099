#pragma once

#include "kernels/conv_f32_winograd/conv_f32_winograd.h"

namespace lapidary::kernels {

/// bias [blocks * width], then the transformed filters u = G w G^T (in double, rounded once),
/// [block][point][in_c][width]; point = row * (m + 2) + column, channels past the last are 0.
size_t packed_winograd_bytes(const ConvShape& shape, int64_t m, int64_t width);
void pack_winograd(const ConvShape& shape, const ConvF32Weights& weights, int64_t m, int64_t width,
                   void* packed);

}  // namespace lapidary::kernels
