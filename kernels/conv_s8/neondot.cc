#if defined(__aarch64__)
#include "kernels/conv_s8/generic.h"
#include "kernels/igemm/quads.h"

namespace lapidary::kernels {
namespace {

/// SDOT multiplies s8 by s8: x - 128, and 128 * sum(w) is part of the bias.
struct Policy : PolicyS8<Neon, BytesSource> {
  using Units = int8x16_t;
  static constexpr int kUnits = 4;
  static constexpr int64_t kWeightBytes = 16;
  static constexpr IgemmTraits kTraits = {.lanes = 4, .registers = 32};

  LAPIDARY_INLINE Units load_units(const char* p) {
    return less_128(vld1q_u8(reinterpret_cast<const uint8_t*>(p)));
  }
  LAPIDARY_INLINE Units load_unit(const char* p) {
    const uint8x8_t unit = Neon::load_word(p);
    return less_128(vcombine_u8(unit, unit));
  }
  LAPIDARY_INLINE int8x16_t load_weights(const char* p) {
    return vld1q_s8(reinterpret_cast<const int8_t*>(p));
  }
  template <int U>
  LAPIDARY_INLINE Vec multiply(Vec acc, Units x, int8x16_t w) {
    return vdotq_laneq_s32(acc, w, x, U);
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void multiply_tile(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    multiply_segments<Policy, MR, NV>(t, acc);
  }

 private:
  LAPIDARY_INLINE Units less_128(uint8x16_t x) {
    return vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(0x80)));
  }
};
using Rows = ConvS8<Policy>;

void pack(const ConvShape& s, const ConvS8Weights& w, void* packed) {
  Rows::pack(s, w, packed);
  shift_inputs(s, 128, packed);
}

}  // namespace

extern const ConvS8Functions conv_s8_neondot;
const ConvS8Functions conv_s8_neondot = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                         pack, Rows::run};

}  // namespace lapidary::kernels
#endif
