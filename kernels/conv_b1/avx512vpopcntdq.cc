#if defined(__x86_64__)
#include "kernels/conv_b1/generic.h"

namespace lapidary::kernels {
namespace {

struct Policy : PolicyB1<Avx512> {
  LAPIDARY_INLINE Vec dot(Vec acc, Vec x, Vec w) {
    return _mm512_add_epi32(acc, _mm512_popcnt_epi32(_mm512_xor_si512(x, w)));
  }
};
using Rows = ConvB1<Policy>;

}  // namespace

extern const ConvB1Functions conv_b1_avx512vpopcntdq;
const ConvB1Functions conv_b1_avx512vpopcntdq = {Rows::packed_bytes, Rows::scratch_bytes,
                                                 Rows::blocks, Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
