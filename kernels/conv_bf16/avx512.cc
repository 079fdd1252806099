#if defined(__x86_64__)
#include "kernels/conv_bf16/generic.h"

namespace lapidary::kernels {
namespace {

struct Policy : PolicyBf16<Avx512> {
  /// A bfloat16 is the high half of the float of the same value.
  LAPIDARY_INLINE Vec even(Vec pairs) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
  }
  LAPIDARY_INLINE Vec odd(Vec pairs) {
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32(-0x10000)));
  }
  LAPIDARY_INLINE Vec dot(Vec acc, Vec x, Vec w) {
    return _mm512_fmadd_ps(even(x), even(w), _mm512_fmadd_ps(odd(x), odd(w), acc));
  }
};
using Rows = ConvBf16<Policy>;

}  // namespace

extern const ConvF32Functions conv_bf16_avx512;
const ConvF32Functions conv_bf16_avx512 = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                           Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
