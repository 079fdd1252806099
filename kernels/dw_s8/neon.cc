#if defined(__aarch64__)
#include "kernels/dw_s8/generic.h"

namespace lapidary::kernels {
namespace {

/// Two lines at a time, widened to s16: the four channels of line 0, then those of line 1.
struct Multiply2 : DwColumns {
  static constexpr int kTaps = 2;
  static constexpr UnitOrder kOrder = UnitOrder::kElements;

  template <int R>
  LAPIDARY_INLINE int32x4_t column(const char* const* lines, int64_t at) {
    uint8x8_t bytes = Neon::load_word(lines[0] + at);
    if constexpr (R == 2) {
      const uint32x2_t second = vreinterpret_u32_u8(Neon::load_word(lines[1] + at));
      bytes = vreinterpret_u8_u32(vzip1_u32(vreinterpret_u32_u8(bytes), second));
    }
    return vreinterpretq_s32_u16(vmovl_u8(bytes));
  }
  LAPIDARY_INLINE int32x4_t dot(int32x4_t acc, int32x4_t x, int32x4_t w) {
    const int16x8_t inputs = vreinterpretq_s16_s32(x), weights = vreinterpretq_s16_s32(w);
    acc = vmlal_s16(acc, vget_low_s16(inputs), vget_low_s16(weights));
    return vmlal_high_s16(acc, inputs, weights);
  }
  LAPIDARY_INLINE int32x4_t sum(int32x4_t acc, int32x4_t x) { return dot(acc, x, every(1)); }
  LAPIDARY_INLINE int32x4_t every(int x) { return Neon::set16(x); }
};
using Rows = DwS8<Neon, Multiply2>;

}  // namespace

extern const ConvS8Functions dw_s8_neon;
const ConvS8Functions dw_s8_neon = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                    Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
