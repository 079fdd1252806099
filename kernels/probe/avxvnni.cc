#if defined(__x86_64__)
#include "kernels/probe/generic.h"

namespace lapidary::kernels {
namespace {

struct Int8 : ProbeSums<Avx2, int32_t, 12> {
  using Left = OneOperand<Avx2, int32_t>;
  using Right = Left;
  static constexpr int kMacs = 32;
  LAPIDARY_INLINE Acc dot(Acc acc, __m256i x, __m256i w) {
    return _mm256_dpbusd_avx_epi32(acc, x, w);
  }
};

}  // namespace

extern const ProbeFunctions probe_avxvnni;
const ProbeFunctions probe_avxvnni = {.int8 = probe_loop<Int8>()};

}  // namespace lapidary::kernels
#endif
