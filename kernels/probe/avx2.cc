#if defined(__x86_64__)
#include "kernels/probe/generic.h"

namespace lapidary::kernels {
namespace {

struct Int8 : ProbeSums<Avx2, int32_t, 6> {  // sums and their operands fill the registers
  using Left = WordOperands<Avx2, uint8_t, 2>;
  using Right = WordOperands<Avx2, int8_t, kSums>;
  static constexpr int kMacs = 16;
  LAPIDARY_INLINE Acc dot(Acc acc, __m256i x, __m256i w) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
  }
};
struct F32 : ProbeSums<Avx2, float, 12> {
  using Left = OneOperand<Avx2, float>;
  using Right = Left;
  static constexpr int kMacs = 8;
  LAPIDARY_INLINE Acc dot(Acc acc, __m256 x, __m256 w) { return _mm256_fmadd_ps(x, w, acc); }
};

}  // namespace

extern const ProbeFunctions probe_avx2;
const ProbeFunctions probe_avx2 = {
    .int8 = probe_loop<Int8>(), .f32 = probe_loop<F32>(), .read = probe_read<Avx2>};

}  // namespace lapidary::kernels
#endif
