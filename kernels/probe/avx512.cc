#if defined(__x86_64__)
#include "kernels/probe/generic.h"

namespace lapidary::kernels {
namespace {

struct Int8 : ProbeSums<Avx512, int32_t, 12> {  // sums and their operands fill the registers
  using Left = WordOperands<Avx512, uint8_t, 2>;
  using Right = WordOperands<Avx512, int8_t, kSums>;
  static constexpr int kMacs = 32;
  LAPIDARY_INLINE Acc dot(Acc acc, __m512i x, __m512i w) {
    return _mm512_add_epi32(acc, _mm512_madd_epi16(x, w));
  }
};
struct F32 : ProbeSums<Avx512, float, 24> {
  using Left = OneOperand<Avx512, float>;
  using Right = Left;
  static constexpr int kMacs = 16;
  LAPIDARY_INLINE Acc dot(Acc acc, __m512 x, __m512 w) { return _mm512_fmadd_ps(x, w, acc); }
};

}  // namespace

extern const ProbeFunctions probe_avx512;
const ProbeFunctions probe_avx512 = {
    .int8 = probe_loop<Int8>(), .f32 = probe_loop<F32>(), .read = probe_read<Avx512>};

}  // namespace lapidary::kernels
#endif
