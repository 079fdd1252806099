#pragma once

#include "kernels/simd.h"

// Floats to bfloat16 by integer steps: u = bits, y = (u + 0x7FFF + (u >> 16 & 1)) >> 16 rounds half
// to even; NaN keeps its sign and gets a quiet bit, |v| < 2^-126 keeps its sign only.
namespace lapidary::kernels {
namespace {

template <class V>
struct RoundBf16;

#if defined(__AVX2__)
template <>
struct RoundBf16<Avx2> {
  /// The first n of 8; n >= 8: all.
  LAPIDARY_INLINE void store(uint16_t* p, __m256 v, int64_t n) {
    const __m256i u = _mm256_castps_si256(v), high = _mm256_srli_epi32(u, 16);
    const __m256i magnitude = _mm256_and_si256(u, _mm256_set1_epi32(0x7FFFFFFF));
    const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i y = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7FFF)), odd);
    y = _mm256_srli_epi32(y, 16);
    y = _mm256_blendv_epi8(y, _mm256_or_si256(high, _mm256_set1_epi32(0x40)),
                           _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7F800000)));
    y = _mm256_blendv_epi8(y, _mm256_and_si256(high, _mm256_set1_epi32(0x8000)),
                           _mm256_cmpgt_epi32(_mm256_set1_epi32(0x00800000), magnitude));
    y = _mm256_permute4x64_epi64(_mm256_packus_epi32(y, y), 0x08);
    const __m128i words = _mm256_castsi256_si128(y);
    if (n >= 8) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), words);
    alignas(16) uint16_t all[8];
    _mm_store_si128(reinterpret_cast<__m128i*>(all), words);
    for (int64_t i = 0; i < n; ++i) p[i] = all[i];
  }
};
#endif

#if defined(__AVX512F__)
template <>
struct RoundBf16<Avx512> {
  /// The first n of 16; n >= 16: all.
  LAPIDARY_INLINE void store(uint16_t* p, __m512 v, int64_t n) {
    const __m512i u = _mm512_castps_si512(v), high = _mm512_srli_epi32(u, 16);
    const __m512i magnitude = _mm512_and_si512(u, _mm512_set1_epi32(0x7FFFFFFF));
    const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i y = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7FFF)), odd);
    y = _mm512_srli_epi32(y, 16);
    y = _mm512_mask_or_epi32(y, _mm512_cmpgt_epi32_mask(magnitude, _mm512_set1_epi32(0x7F800000)),
                             high, _mm512_set1_epi32(0x40));
    y = _mm512_mask_and_epi32(y, _mm512_cmplt_epi32_mask(magnitude, _mm512_set1_epi32(0x00800000)),
                              high, _mm512_set1_epi32(0x8000));
    _mm256_mask_storeu_epi16(p, Avx512::first(n), _mm512_cvtepi32_epi16(y));
  }
};
#endif

#if defined(__aarch64__)
template <>
struct RoundBf16<Neon> {
  /// The first n of 4; n >= 4: all.
  LAPIDARY_INLINE void store(uint16_t* p, float32x4_t v, int64_t n) {
    const uint32x4_t u = vreinterpretq_u32_f32(v), high = vshrq_n_u32(u, 16);
    const uint32x4_t magnitude = vandq_u32(u, vdupq_n_u32(0x7FFFFFFF));
    const uint32x4_t odd = vandq_u32(high, vdupq_n_u32(1));
    uint32x4_t y = vshrq_n_u32(vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7FFF)), odd), 16);
    y = vbslq_u32(vcgtq_u32(magnitude, vdupq_n_u32(0x7F800000)), vorrq_u32(high, vdupq_n_u32(0x40)),
                  y);
    y = vbslq_u32(vcltq_u32(magnitude, vdupq_n_u32(0x00800000)),
                  vandq_u32(high, vdupq_n_u32(0x8000)), y);
    const uint16x4_t words = vmovn_u32(y);
    if (n >= 4) return vst1_u16(p, words);
    if (n > 0) vst1_lane_u16(p, words, 0);
    if (n > 1) vst1_lane_u16(p + 1, words, 1);
    if (n > 2) vst1_lane_u16(p + 2, words, 2);
  }
};
#endif

}  // namespace
}  // namespace lapidary::kernels
