#if defined(__x86_64__)
#include "kernels/conv_b1/bytes.h"

namespace lapidary::kernels {
namespace {

/// Bits of a byte by looking its halves up.
struct Policy : PolicyB1<Avx512> {
  template <int NV>
  static constexpr int kPart = NV == 4 ? 4 : 7;

  LAPIDARY_INLINE Vec add_counts(Vec bytes, Vec v) {
    const Vec counts =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const Vec half = _mm512_set1_epi8(15);
    const Vec low = _mm512_and_si512(v, half);
    const Vec high = _mm512_and_si512(_mm512_srli_epi16(v, 4), half);
    bytes = _mm512_add_epi8(bytes, _mm512_shuffle_epi8(counts, low));
    return _mm512_add_epi8(bytes, _mm512_shuffle_epi8(counts, high));
  }
  LAPIDARY_INLINE Vec add_widened(Vec acc, Vec bytes) {
    const Vec pairs = _mm512_maddubs_epi16(bytes, _mm512_set1_epi8(1));
    return _mm512_add_epi32(acc, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void multiply_tile(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    count_parts<Policy, 0>(t, acc);
  }
};
using Rows = ConvB1<Policy>;

}  // namespace

extern const ConvB1Functions conv_b1_avx512;
const ConvB1Functions conv_b1_avx512 = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                        Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
