#if defined(__x86_64__)
#include "kernels/probe/generic.h"

namespace lapidary::kernels {
namespace {

struct Int8 : ProbeSums<Avx512, int32_t, 24> {
  using Left = OneOperand<Avx512, int32_t>;
  using Right = Left;
  static constexpr int kMacs = 64;
  LAPIDARY_INLINE Acc dot(Acc acc, __m512i x, __m512i w) { return _mm512_dpbusd_epi32(acc, x, w); }
};

}  // namespace

extern const ProbeFunctions probe_avx512vnni;
const ProbeFunctions probe_avx512vnni = {.int8 = probe_loop<Int8>()};

}  // namespace lapidary::kernels
#endif
