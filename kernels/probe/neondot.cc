#if defined(__aarch64__)
#include "kernels/probe/generic.h"

namespace lapidary::kernels {
namespace {

/// SDOT, as conv_s8 uses it: the left bytes count as s8.
struct Int8 : ProbeSums<Neon, int32_t, 24> {
  using Left = OneOperand<Neon, int32_t>;
  using Right = Left;
  static constexpr int kMacs = 16;
  LAPIDARY_INLINE Acc dot(Acc acc, int32x4_t x, int32x4_t w) {
    return vdotq_s32(acc, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w));
  }
};

}  // namespace

extern const ProbeFunctions probe_neondot;
const ProbeFunctions probe_neondot = {.int8 = probe_loop<Int8>()};

}  // namespace lapidary::kernels
#endif
