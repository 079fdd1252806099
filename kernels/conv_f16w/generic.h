#pragma once

#include "kernels/conv_f16w/pack.h"
#include "kernels/conv_f32/generic.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct PolicyF16w : PolicyF32<V, ConvTileF32<V>> {
  using Base = PolicyF32<V, ConvTileF32<V>>;
  static constexpr IgemmTraits kTraits = {.lanes = Base::kTraits.lanes,
                                          .registers = Base::kTraits.registers,
                                          .unit = 1,
                                          .source_bytes = 4,
                                          .element_bytes = 4,
                                          .weight_bytes = 2};
};

template <class P>
struct ConvF16w : ConvF32<P> {
  static void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
    pack_f16w_igemm(s, w, P::kTraits, packed);
  }
};

}  // namespace
}  // namespace lapidary::kernels
