#if defined(__aarch64__)
#include "kernels/probe/generic.h"

namespace lapidary::kernels {
namespace {

struct Int8 : ProbeSums<Neon, int32_t, 12> {  // sums and their operands fill the registers
  using Left = WordOperands<Neon, uint8_t, 2>;
  using Right = WordOperands<Neon, int8_t, kSums>;
  static constexpr int kMacs = 8;
  LAPIDARY_INLINE Acc dot(Acc acc, int32x4_t x, int32x4_t w) {
    const int16x8_t a = vreinterpretq_s16_s32(x), b = vreinterpretq_s16_s32(w);
    return vmlal_high_s16(vmlal_s16(acc, vget_low_s16(a), vget_low_s16(b)), a, b);
  }
};
struct F32 : ProbeSums<Neon, float, 24> {
  using Left = OneOperand<Neon, float>;
  using Right = Left;
  static constexpr int kMacs = 4;
  LAPIDARY_INLINE Acc dot(Acc acc, float32x4_t x, float32x4_t w) { return vfmaq_f32(acc, x, w); }
};

}  // namespace

extern const ProbeFunctions probe_neon;
const ProbeFunctions probe_neon = {
    .int8 = probe_loop<Int8>(), .f32 = probe_loop<F32>(), .read = probe_read<Neon>};

}  // namespace lapidary::kernels
#endif
