#pragma once

#include "kernels/conv_bf16/pack.h"
#include "kernels/conv_bf16/round.h"
#include "kernels/conv_f32/generic.h"

namespace lapidary::kernels {
namespace {

/// A pair of BF16 a unit, the even element in the low half of its lane.
template <class V>
struct PolicyBf16 : PolicyF32<V, ConvTileF32<V>> {
  using Base = PolicyF32<V, ConvTileF32<V>>;
  using Element = uint16_t;
  static constexpr IgemmTraits kTraits = {.lanes = Base::kTraits.lanes,
                                          .registers = Base::kTraits.registers,
                                          .unit = 2,
                                          .source_bytes = 4,
                                          .element_bytes = 2};

  static void convert(uint16_t* to, const float* from, int64_t count) {
    for (int64_t i = 0; i < count; i += V::kLanes)
      RoundBf16<V>::store(to + i, V::load(from + i), count - i);
  }
  static void fill(uint16_t* to, uint16_t value, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = value;
  }
};

template <class P>
struct ConvBf16 {
  static size_t packed_bytes(const ConvShape& s) {
    return packed_f32_igemm_bytes(in_pairs(s), P::kTraits);
  }
  static size_t scratch_bytes(const ConvShape& s) {
    return igemm_scratch_bytes(in_pairs(s), P::kTraits);
  }
  static int64_t blocks(const ConvShape& s) {
    return s.groups * igemm_plan(in_pairs(s), P::kTraits).group_blocks;
  }
  static void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
    pack_bf16_igemm(s, w, P::kTraits, packed);
  }
  static void run(const ConvF32Args& p) {
    const ConvShape pairs = in_pairs(p.shape);
    const int64_t bias_count = pairs.groups * igemm_plan(pairs, P::kTraits).group_stride;
    const IgemmOperands operands = {
        .x = p.x,
        .x_channels = p.shape.in_c,
        .weights = reinterpret_cast<const char*>(static_cast<const float*>(p.packed) + bias_count),
        .scratch = p.scratch,
        .args = &p};
    run_igemm<P>(pairs, p.range, operands, 0);
  }
};

}  // namespace
}  // namespace lapidary::kernels
