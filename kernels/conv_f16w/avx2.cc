#if defined(__x86_64__)
#include "kernels/conv_f16w/generic.h"

namespace lapidary::kernels {
namespace {

struct Policy : PolicyF16w<Avx2> {
  LAPIDARY_INLINE Vec load(const char* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
};
using Rows = ConvF16w<Policy>;

}  // namespace

extern const ConvF32Functions conv_f16w_avx2;
const ConvF32Functions conv_f16w_avx2 = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                         Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
