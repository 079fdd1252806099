#pragma once

#include "kernels/dw_s8/dw_s8.h"
#include "kernels/igemm/plan.h"

namespace lapidary::kernels {

/// The head of conv_s8/packed.h with one group of C channels, then weights
/// [blocks of `lanes` channels][KW][groups of `taps` lines][lanes][taps], 4 bytes a lane: 4 s8 or 2
/// s16; the last two the other way round where `order` is kElements.
size_t packed_dw_s8_bytes(const ConvShape& shape, int64_t lanes, int64_t taps);
void pack_dw_s8(const ConvShape& shape, const ConvS8Weights& weights, int64_t lanes, int64_t taps,
                void* packed, UnitOrder order = UnitOrder::kLanes);

}  // namespace lapidary::kernels
