#if defined(__x86_64__)
#include "kernels/dw_s8/generic.h"
#include "kernels/dw_s8/wide.h"

namespace lapidary::kernels {
namespace {

/// Four lines at a time: byte 4c + r of the column is channel c of line r.
struct Dot4 : DwColumns {
  static constexpr int kTaps = 4;
  static constexpr int64_t kWide = DwWide::kChannels;

  template <int K, int S>
  static void wide(const DwLine& line, const IgemmTile& t) {
    DwWide::square<K, S>(line, t);
  }
  static constexpr bool is_narrow(const ConvShape& s) { return dw_is_narrow(s, kWide); }
  static size_t narrow_scratch_bytes(const ConvShape& s) { return DwWide::narrow_scratch_bytes(s); }
  static void narrow(const ConvShape& s, const WorkRange& range, const IgemmOperands& o, int fill) {
    DwWide::narrow(s, range, o, fill);
  }

  template <int R>
  LAPIDARY_INLINE __m512i column(const char* const* lines, int64_t at) {
    if constexpr (R == 1) return _mm512_cvtepu8_epi32(load(lines[0] + at));
    __m512i v = _mm512_zextsi128_si512(load(lines[0] + at));
    v = _mm512_inserti32x4(v, load(lines[1] + at), 1);
    if constexpr (R > 2) v = _mm512_inserti32x4(v, load(lines[2] + at), 2);
    if constexpr (R > 3) v = _mm512_inserti32x4(v, load(lines[3] + at), 3);
    return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(lines_together(), v), interleave());
  }
  LAPIDARY_INLINE __m512i dot(__m512i acc, __m512i x, __m512i w) {
    return _mm512_dpbusd_epi32(acc, x, w);
  }
  LAPIDARY_INLINE __m512i sum(__m512i acc, __m512i x) { return dot(acc, x, every(1)); }
  LAPIDARY_INLINE __m512i every(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }

 private:
  LAPIDARY_INLINE __m128i load(const char* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  // Lane k gets channels 4k .. 4k + 3 of lines 0 .. 3, then its 4 x 4 bytes are transposed: two
  // shuffles where VBMI has one, but Cascade Lake has VNNI without VBMI.
  LAPIDARY_INLINE __m512i lines_together() {
    return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  }
  LAPIDARY_INLINE __m512i interleave() {
    return _mm512_set4_epi32(0x0F0B0703, 0x0E0A0602, 0x0D090501, 0x0C080400);
  }
};
using Rows = DwS8<Avx512, Dot4>;

}  // namespace

extern const ConvS8Functions dw_s8_avx512vnni;
const ConvS8Functions dw_s8_avx512vnni = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                          Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
