#pragma once

#include "kernels/dw_f32/dw_f32.h"

namespace lapidary::kernels {

/// bias [blocks][lanes], then weights [blocks][KH][KW][lanes]; channels past C are zero.
size_t packed_dw_f32_bytes(const ConvShape& shape, int64_t lanes);
void pack_dw_f32(const ConvShape& shape, const ConvF32Weights& weights, int64_t lanes,
                 void* packed);

}  // namespace lapidary::kernels
