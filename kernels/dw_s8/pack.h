#pragma once

#include "kernels/dw_s8/dw_s8.h"

namespace lapidary::kernels {

/// The head of conv_s8/packed.h with one group of C channels, then weights
/// [blocks of `lanes` channels][KW][groups of `taps` lines][lanes][taps], 4 bytes a lane: 4 s8 or 2
/// s16. Where `wide` is not 0, blocks are of `wide` = 4 * lanes channels as long as more than half
/// of one is left, and have [KW][groups of lines][4][lanes][taps], in the order that interleaving
/// bytes within 16-byte lanes gives: lane 4l + i of part j is channel 16l + 4j + i. Weights with
/// zero points, and filters other than 3x3 and those of no tile, have no wide blocks. Behind the
/// blocks of dw_is_narrow shapes stands a wide one whose channels are those of the shape again and
/// again.
size_t packed_dw_s8_bytes(const ConvShape& shape, int64_t lanes, int64_t taps, int64_t wide);
void pack_dw_s8(const ConvShape& shape, const ConvS8Weights& weights, int64_t lanes, int64_t taps,
                int64_t wide, void* packed);

/// Where in the weights the block for narrow shapes begins.
constexpr int64_t dw_s8_narrow_at(const ConvShape& s, int64_t lanes, int64_t taps, int64_t wide) {
  return (s.out_c + wide - 1) / wide * wide / lanes * s.kernel_w *
         ((s.kernel_h + taps - 1) / taps) * lanes * 4;
}

}  // namespace lapidary::kernels
