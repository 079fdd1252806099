#if defined(__aarch64__)
#include "kernels/conv_s8/generic.h"
#include "kernels/igemm/quads.h"

namespace lapidary::kernels {
namespace {

/// Everything widened to s16 in registers: [element][lane] weights by one input at a time.
struct Policy : PolicyS8<Neon, BytesSource> {
  using Units = int16x8_t;
  struct Weights {
    int16x8_t first, last;  ///< of elements 0 and 1, 2 and 3
  };
  static constexpr int kUnits = 2;
  static constexpr int64_t kWeightBytes = 16;
  static constexpr IgemmTraits kTraits = {
      .lanes = 4, .registers = 32, .order = UnitOrder::kElements};

  LAPIDARY_INLINE Units load_units(const char* p) {
    return widen(vld1_u8(reinterpret_cast<const uint8_t*>(p)));
  }
  LAPIDARY_INLINE Units load_unit(const char* p) { return widen(Neon::load_word(p)); }
  LAPIDARY_INLINE Weights load_weights(const char* p) {
    const int8x16_t w = vld1q_s8(reinterpret_cast<const int8_t*>(p));
    return {vmovl_s8(vget_low_s8(w)), vmovl_high_s8(w)};
  }
  template <int U>
  LAPIDARY_INLINE Vec multiply(Vec acc, Units x, const Weights& w) {
    acc = vmlal_laneq_s16(acc, vget_low_s16(w.first), x, 4 * U);
    acc = vmlal_high_laneq_s16(acc, w.first, x, 4 * U + 1);
    acc = vmlal_laneq_s16(acc, vget_low_s16(w.last), x, 4 * U + 2);
    return vmlal_high_laneq_s16(acc, w.last, x, 4 * U + 3);
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void multiply_tile(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    multiply_segments<Policy, MR, NV>(t, acc);
  }

 private:
  LAPIDARY_INLINE Units widen(uint8x8_t bytes) { return vreinterpretq_s16_u16(vmovl_u8(bytes)); }
};
using Rows = ConvS8<Policy>;

}  // namespace

extern const ConvS8Functions conv_s8_neon;
const ConvS8Functions conv_s8_neon = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                      Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
