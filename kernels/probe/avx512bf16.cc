#if defined(__x86_64__)
#include "kernels/probe/generic.h"

namespace lapidary::kernels {
namespace {

struct Bf16 : ProbeSums<Avx512, float, 24> {
  using Left = OneOperand<Avx512, int32_t>;
  using Right = Left;
  static constexpr int kMacs = 32;
  LAPIDARY_INLINE Acc dot(Acc acc, __m512i x, __m512i w) {
    return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(w));
  }
};

}  // namespace

extern const ProbeFunctions probe_avx512bf16;
const ProbeFunctions probe_avx512bf16 = {.bf16 = probe_loop<Bf16>()};

}  // namespace lapidary::kernels
#endif
