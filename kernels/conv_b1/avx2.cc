#if defined(__x86_64__)
#include "kernels/conv_b1/bytes.h"

namespace lapidary::kernels {
namespace {

/// Bits of a byte by looking its halves up.
struct Policy : PolicyB1<Avx2> {
  template <int NV>
  static constexpr int kPart = 3;

  LAPIDARY_INLINE Vec add_counts(Vec bytes, Vec v) {
    const Vec counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2,
                                        1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const Vec half = _mm256_set1_epi8(15);
    const Vec low = _mm256_and_si256(v, half);
    const Vec high = _mm256_and_si256(_mm256_srli_epi16(v, 4), half);
    bytes = _mm256_add_epi8(bytes, _mm256_shuffle_epi8(counts, low));
    return _mm256_add_epi8(bytes, _mm256_shuffle_epi8(counts, high));
  }
  LAPIDARY_INLINE Vec add_widened(Vec acc, Vec bytes) {
    const Vec pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void multiply_tile(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    count_parts<Policy, 0>(t, acc);
  }
};
using Rows = ConvB1<Policy>;

}  // namespace

extern const ConvB1Functions conv_b1_avx2;
const ConvB1Functions conv_b1_avx2 = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                      Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
