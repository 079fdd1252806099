#if defined(__x86_64__)
#include "kernels/conv_bf16/generic.h"

namespace lapidary::kernels {
namespace {

struct Policy : PolicyBf16<Avx512> {
  LAPIDARY_INLINE Vec dot(Vec acc, Vec x, Vec w) {
    return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(w));
  }
};
using Rows = ConvBf16<Policy>;

}  // namespace

extern const ConvF32Functions conv_bf16_avx512bf16;
const ConvF32Functions conv_bf16_avx512bf16 = {Rows::packed_bytes, Rows::scratch_bytes,
                                               Rows::blocks, Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
