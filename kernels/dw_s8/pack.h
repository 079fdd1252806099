#pragma once

#include "kernels/dw_s8/dw_s8.h"
#include "kernels/igemm/plan.h"

namespace lapidary::kernels {

struct DwPacking {
  int64_t lanes, taps;  ///< channels of a vector, lines of a column
  int64_t wide = 0;     ///< channels of a wide block, 4 * lanes; 0: none
  UnitOrder order = UnitOrder::kLanes;
};

/// The head of conv_s8/packed.h with one group of C channels, then weights
/// [blocks of `lanes` channels][KW][groups of `taps` lines][lanes][taps], 4 bytes a lane: 4 s8 or 2
/// s16; the last two the other way round where `order` is kElements. Where `wide` is not 0, blocks
/// are of `wide` channels as long as more than half of one is left, and have
/// [KW][groups of lines][4][lanes][taps], in the order that interleaving bytes within 16-byte lanes
/// gives: lane 4l + i of part j is channel 16l + 4j + i. Weights with zero points, and filters
/// other than 3x3 and those of no tile, have no wide blocks. Behind the blocks of dw_is_narrow
/// shapes stands a wide one whose channels are those of the shape again and again.
size_t packed_dw_s8_bytes(const ConvShape& shape, const DwPacking& packing);
void pack_dw_s8(const ConvShape& shape, const ConvS8Weights& weights, const DwPacking& packing,
                void* packed);

/// Where in the weights the block for narrow shapes begins.
constexpr int64_t dw_s8_narrow_at(const ConvShape& s, const DwPacking& p) {
  return (s.out_c + p.wide - 1) / p.wide * p.wide / p.lanes * s.kernel_w *
         ((s.kernel_h + p.taps - 1) / p.taps) * p.lanes * 4;
}

}  // namespace lapidary::kernels
