#if defined(__aarch64__)
#include "kernels/probe/generic.h"

namespace lapidary::kernels {
namespace {

/// USMMLA: 2 x 8 by 8 x 2.
struct Int8 : ProbeSums<Neon, int32_t, 24> {
  using Left = OneOperand<Neon, int32_t>;
  using Right = Left;
  static constexpr int kMacs = 32;
  LAPIDARY_INLINE Acc dot(Acc acc, int32x4_t x, int32x4_t w) {
    return vusmmlaq_s32(acc, vreinterpretq_u8_s32(x), vreinterpretq_s8_s32(w));
  }
};

}  // namespace

extern const ProbeFunctions probe_neoni8mm;
const ProbeFunctions probe_neoni8mm = {.int8 = probe_loop<Int8>()};

}  // namespace lapidary::kernels
#endif
