#if defined(__x86_64__)
#include "kernels/dw_s8/generic.h"

namespace lapidary::kernels {
namespace {

/// Four lines at a time: byte 4c + r of the column is channel c of line r.
struct Dot4 : DwColumns {
  static constexpr int kTaps = 4;

  template <int R>
  LAPIDARY_INLINE __m256i column(const char* const* lines, int64_t at) {
    const __m128i zero = _mm_setzero_si128();
    if constexpr (R == 1) return _mm256_cvtepu8_epi32(load(lines[0] + at));
    const __m128i low = _mm_unpacklo_epi8(load(lines[0] + at), load(lines[1] + at));
    if constexpr (R == 2) return _mm256_cvtepu16_epi32(low);
    const __m128i high = _mm_unpacklo_epi8(load(lines[2] + at), R > 3 ? load(lines[3] + at) : zero);
    return _mm256_set_m128i(_mm_unpackhi_epi16(low, high), _mm_unpacklo_epi16(low, high));
  }
  LAPIDARY_INLINE __m256i dot(__m256i acc, __m256i x, __m256i w) {
    return _mm256_dpbusd_avx_epi32(acc, x, w);
  }
  LAPIDARY_INLINE __m256i sum(__m256i acc, __m256i x) { return dot(acc, x, every(1)); }
  LAPIDARY_INLINE __m256i every(int x) { return _mm256_set1_epi8(static_cast<char>(x)); }

 private:
  LAPIDARY_INLINE __m128i load(const char* p) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  }
};
using Rows = DwS8<Avx2, Dot4>;

}  // namespace

extern const ConvS8Functions dw_s8_avxvnni;
const ConvS8Functions dw_s8_avxvnni = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                       Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
