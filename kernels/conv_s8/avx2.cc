#if defined(__x86_64__)
#include "kernels/conv_s8/generic.h"

namespace lapidary::kernels {
namespace {

struct Policy : PolicyS8<Avx2, WordsSource> {
  LAPIDARY_INLINE Vec dot(Vec acc, Vec x, Vec w) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(x, w));
  }
};
using Rows = ConvS8<Policy>;

}  // namespace

extern const ConvS8Functions conv_s8_avx2;
const ConvS8Functions conv_s8_avx2 = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                      Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
