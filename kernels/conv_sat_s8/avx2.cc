#if defined(__x86_64__)
#include <cstring>

#include "kernels/conv_sat_s8/tile.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

/// Eight columns of one quad: bytes of weights, and the even and the odd ones as 16 bits.
struct Columns {
  __m256i bytes, even, odd;
};

__attribute__((always_inline)) inline Columns load_columns(const int8_t* w) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
  return {bytes, _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
}

template <int Rows>
int64_t multiply(const SatTile& t) {
  const __m256i ones = _mm256_set1_epi16(1), low_bytes = _mm256_set1_epi16(0xFF);
  __m256i acc[Rows][2];
#pragma GCC unroll 4
  for (int m = 0; m < Rows; ++m) acc[m][0] = acc[m][1] = _mm256_setzero_si256();
  int64_t saturated = 0;
  for (int64_t q = 0; q < t.quads; ++q) {
    const int8_t* w = t.w + q * kSatColumns * 4;
    const Columns columns[2] = {load_columns(w), load_columns(w + 32)};
#pragma GCC unroll 4
    for (int m = 0; m < Rows; ++m) {
      int32_t quad;
      std::memcpy(&quad, t.x + (m * t.quads + q) * 4, 4);
      const __m256i x = _mm256_set1_epi32(quad);
      const __m256i x_even = _mm256_and_si256(x, low_bytes), x_odd = _mm256_srli_epi16(x, 8);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const __m256i pairs = _mm256_maddubs_epi16(x, columns[v].bytes);
        acc[m][v] = _mm256_add_epi32(acc[m][v], _mm256_madd_epi16(pairs, ones));
        // A product fits 16 bits; their sum, wrapped, differs exactly where it saturated.
        const __m256i wrapped = _mm256_add_epi16(_mm256_mullo_epi16(x_even, columns[v].even),
                                                 _mm256_mullo_epi16(x_odd, columns[v].odd));
        const int same = _mm256_movemask_epi8(_mm256_cmpeq_epi16(pairs, wrapped));
        if (same != -1) saturated += __builtin_popcount(~static_cast<unsigned>(same)) / 2;
      }
    }
  }
  for (int m = 0; m < Rows; ++m)
    for (int v = 0; v < 2; ++v)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(t.acc + m * kSatColumns + v * 8), acc[m][v]);
  return saturated;
}

}  // namespace

extern int64_t sat_tile_avx2(const SatTile& t);
int64_t sat_tile_avx2(const SatTile& t) {
  switch (t.rows) {
    case 1:
      return multiply<1>(t);
    case 2:
      return multiply<2>(t);
    case 3:
      return multiply<3>(t);
    default:
      return multiply<4>(t);
  }
}

}  // namespace lapidary::kernels
#endif
