#pragma once

#include "kernels/conv_s8/packed.h"
#include "kernels/conv_t2/conv_t2.h"

namespace lapidary::kernels {

/// The head of ternary weights. Behind it stands a record for each block of output channels:
/// kRecordHead bytes with the head and the arrays of the block's own conv_s8 weights, then those
/// weights, in the order of the conv_s8 row, as codes: code w + 1, and byte b of 64 holds those of
/// weights b, 64 + b, 128 + b and 192 + b from its lowest bits on.
struct PackedT2 {
  int64_t out_c = 0;
  int64_t block_c = 0;       ///< channels of a block; the last one may have fewer
  int64_t record_bytes = 0;  ///< from block to block
  int64_t reserved[5] = {};
};
static_assert(sizeof(PackedT2) == 64);

namespace {

constexpr int64_t kCodeGroup = 256;  ///< weights of 64 bytes of codes
constexpr int64_t kMostBlock = 64;
constexpr int64_t kRecordHead = 64 + 16 * kMostBlock;

/// Blocks wide enough for the widest tiles of short sums, otherwise small enough for the caches.
constexpr int64_t block_channels(const ConvShape& s) {
  return s.kernel_h * s.kernel_w * s.in_c <= 512 ? kMostBlock : kMostBlock / 2;
}
constexpr int64_t block_count(const ConvShape& s) { return up_to(s.out_c, block_channels(s)); }
/// The convolution of the block's channels alone.
constexpr ConvShape block_shape(const ConvShape& s, int64_t block) {
  ConvShape own = s;
  own.out_c = at_most(block_channels(s), s.out_c - block * block_channels(s));
  return own;
}
/// Of a record, at least. `weight_bytes`: of an expanded weight.
constexpr int64_t record_bytes(size_t s8_packed_bytes, int64_t weight_bytes) {
  const int64_t weights = (static_cast<int64_t>(s8_packed_bytes) - 64) / weight_bytes;
  return kRecordHead + up_to(weights, kCodeGroup) * (kCodeGroup / 4);
}

}  // namespace

/// What a row is made of.
struct BaseT2 {
  const ConvS8Functions* call;
  int64_t weight_bytes;  ///< of its packed weights: 1, or 2 where it widens them
};
size_t packed_t2_bytes(const ConvShape& shape, const BaseT2& base);
void pack_t2(const ConvShape& shape, const ConvS8Weights& weights, const BaseT2& base,
             void* packed);

}  // namespace lapidary::kernels
