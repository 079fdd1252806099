#if defined(__aarch64__)
#include "kernels/conv_bf16/generic.h"

namespace lapidary::kernels {
namespace {

/// Four pairs as floats: a bfloat16 is the high half of the float of the same value.
struct Pairs {
  float32x4_t even, odd;

  LAPIDARY_INLINE Pairs of(uint32x4_t pairs) {
    return {vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16)),
            vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xFFFF0000)))};
  }
};

struct Policy : PolicyBf16<Neon> {
  using Units = Pairs;
  static constexpr int kUnits = 4;
  static constexpr int64_t kWeightBytes = 16;

  LAPIDARY_INLINE Units load_units(const char* p) {
    return Pairs::of(vreinterpretq_u32_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(p))));
  }
  LAPIDARY_INLINE Units load_unit(const char* p) {
    uint32_t pair;
    memcpy(&pair, p, 4);
    return Pairs::of(vdupq_n_u32(pair));
  }
  LAPIDARY_INLINE Pairs load_weights(const char* p) { return load_units(p); }
  template <int U>
  LAPIDARY_INLINE Vec multiply(Vec acc, const Units& x, const Pairs& w) {
    return vfmaq_laneq_f32(vfmaq_laneq_f32(acc, w.odd, x.odd, U), w.even, x.even, U);
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void multiply_tile(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    multiply_segments<Policy, MR, NV>(t, acc);
  }
};
using Rows = ConvBf16<Policy>;

}  // namespace

extern const ConvF32Functions conv_bf16_neon;
const ConvF32Functions conv_bf16_neon = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                         Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
