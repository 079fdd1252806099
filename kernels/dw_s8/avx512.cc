#if defined(__x86_64__)
#include "kernels/dw_s8/generic.h"

namespace lapidary::kernels {
namespace {

/// Two lines at a time, widened to s16: word 2c + r of the column is channel c of line r.
struct Dot2 : DwColumns {
  static constexpr int kTaps = 2;

  template <int R>
  LAPIDARY_INLINE __m512i column(const char* const* lines, int64_t at) {
    const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lines[0] + at));
    if constexpr (R == 1) return _mm512_cvtepu8_epi32(first);
    const __m128i second = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lines[1] + at));
    return _mm512_cvtepu8_epi16(
        _mm256_set_m128i(_mm_unpackhi_epi8(first, second), _mm_unpacklo_epi8(first, second)));
  }
  LAPIDARY_INLINE __m512i dot(__m512i acc, __m512i x, __m512i w) {
    return _mm512_add_epi32(acc, _mm512_madd_epi16(x, w));
  }
  LAPIDARY_INLINE __m512i sum(__m512i acc, __m512i x) { return dot(acc, x, every(1)); }
  LAPIDARY_INLINE __m512i every(int x) { return _mm512_set1_epi16(static_cast<int16_t>(x)); }
};
using Rows = DwS8<Avx512, Dot2>;

}  // namespace

extern const ConvS8Functions dw_s8_avx512;
const ConvS8Functions dw_s8_avx512 = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                      Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
