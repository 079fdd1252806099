#if defined(__x86_64__)
#include "kernels/conv_s8/generic.h"

namespace lapidary::kernels {
namespace {

struct Policy : PolicyS8<Avx2, BytesSource> {
  LAPIDARY_INLINE Vec dot(Vec acc, Vec x, Vec w) { return _mm256_dpbusd_avx_epi32(acc, x, w); }
};
using Rows = ConvS8<Policy>;

}  // namespace

extern const ConvS8Functions conv_s8_avxvnni;
const ConvS8Functions conv_s8_avxvnni = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                         Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
