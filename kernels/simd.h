#pragma once

#if defined(__x86_64__)
// g++ 12 calls the undefined operand of its own AVX-512 intrinsics uninitialized (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include <cstdint>

// Vectors of 32-bit lanes under one spelling, for the templates of generic.h files. Everything has
// internal linkage, so that a copy compiled for one ISA never serves another.
// Loads are full vectors: inputs have 64 readable bytes after them.
namespace lapidary::kernels {
namespace {

#define LAPIDARY_INLINE static inline __attribute__((always_inline))

#if defined(__AVX2__)
struct Avx2 {
  static constexpr int kLanes = 8;
  using F = __m256;
  using I = __m256i;

  LAPIDARY_INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
  LAPIDARY_INLINE I load(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const I*>(p));
  }
  LAPIDARY_INLINE I load_u8(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  LAPIDARY_INLINE I load_s8(const uint8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  LAPIDARY_INLINE void store(float* p, F v) { _mm256_storeu_ps(p, v); }
  LAPIDARY_INLINE void store(int32_t* p, I v) { _mm256_storeu_si256(reinterpret_cast<I*>(p), v); }
  /// The low byte of each lane.
  LAPIDARY_INLINE void store_bytes(uint8_t* p, I v) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), low_bytes(v));
  }
  /// The first n lanes, 0 <= n; n >= kLanes stores all.
  LAPIDARY_INLINE void store(float* p, F v, int64_t n) {
    if (n >= kLanes) return store(p, v);
    _mm256_maskstore_ps(p, first(n), v);
  }
  LAPIDARY_INLINE void store(int32_t* p, I v, int64_t n) {
    if (n >= kLanes) return store(p, v);
    _mm256_maskstore_epi32(p, first(n), v);
  }
  LAPIDARY_INLINE void store_bytes(uint8_t* p, I v, int64_t n) {
    if (n >= kLanes) return store_bytes(p, v);
    alignas(16) uint8_t bytes[16];
    _mm_store_si128(reinterpret_cast<__m128i*>(bytes), low_bytes(v));
    for (int64_t i = 0; i < n; ++i) p[i] = bytes[i];
  }

  LAPIDARY_INLINE F set(float x) { return _mm256_set1_ps(x); }
  LAPIDARY_INLINE I set(int32_t x) { return _mm256_set1_epi32(x); }
  LAPIDARY_INLINE F add(F a, F b) { return _mm256_add_ps(a, b); }
  LAPIDARY_INLINE F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  LAPIDARY_INLINE F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  LAPIDARY_INLINE F div(F a, F b) { return _mm256_div_ps(a, b); }
  /// a * b + c, rounded once.
  LAPIDARY_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  /// a < b ? a : b, and the greater: b where either is NaN.
  LAPIDARY_INLINE F min(F a, F b) { return _mm256_min_ps(a, b); }
  LAPIDARY_INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }
  /// test < 0 ? a : b
  LAPIDARY_INLINE F where_negative(F test, F a, F b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(test, _mm256_setzero_ps(), _CMP_LT_OQ));
  }
  /// test is NaN ? a : b
  LAPIDARY_INLINE F where_nan(F test, F a, F b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(test, test, _CMP_UNORD_Q));
  }
  /// The first n lanes of v, those of `other` behind; n >= kLanes: all of v.
  LAPIDARY_INLINE F head(F v, int64_t n, F other) {
    return n >= kLanes ? v : _mm256_blendv_ps(other, v, _mm256_castsi256_ps(first(n)));
  }
  /// Lanes l and l + kLanes / 2 added, and so on down to one.
  LAPIDARY_INLINE float sum(F v) {
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
  }
  /// v * 2^n by its exponent bits; v and the result are normal.
  LAPIDARY_INLINE F times_power(F v, I n) {
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), _mm256_slli_epi32(n, 23)));
  }
  /// The largest lane.
  LAPIDARY_INLINE float top(F v) {
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
  }
  LAPIDARY_INLINE I add(I a, I b) { return _mm256_add_epi32(a, b); }
  LAPIDARY_INLINE I sub(I a, I b) { return _mm256_sub_epi32(a, b); }
  LAPIDARY_INLINE I mul(I a, I b) { return _mm256_mullo_epi32(a, b); }
  LAPIDARY_INLINE I bit_xor(I a, I b) { return _mm256_xor_si256(a, b); }
  /// Bit l: lane l of a >= that of b; 0 where either is NaN.
  LAPIDARY_INLINE uint32_t at_least_bits(I a, I b) {
    const I less = _mm256_cmpgt_epi32(b, a);
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(less))) ^ 0xFFu;
  }
  LAPIDARY_INLINE uint32_t at_least_bits(F a, F b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ)));
  }
  /// a >= b ? v | bits : v
  LAPIDARY_INLINE I or_at_least(I v, F a, F b, I bits) {
    const I set = _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GE_OQ));
    return _mm256_or_si256(v, _mm256_and_si256(set, bits));
  }
  LAPIDARY_INLINE F to_float(I v) { return _mm256_cvtepi32_ps(v); }
  LAPIDARY_INLINE I to_int(F v) { return _mm256_cvtps_epi32(v); }  // half to even
  /// The 32 lanes of a, b, c, d as bytes in that order, each v + zero, saturated to 0..255;
  /// |v| < 2^15, `zero` in 16-bit lanes.
  LAPIDARY_INLINE I pack(I a, I b, I c, I d, I zero) {
    const I ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero);
    const I cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), zero);
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }
  LAPIDARY_INLINE I set16(int x) { return _mm256_set1_epi16(static_cast<int16_t>(x)); }

  /// 4 * kLanes bytes.
  LAPIDARY_INLINE I load_raw(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const I*>(p));
  }
  LAPIDARY_INLINE I max_bytes(I a, I b) { return _mm256_max_epu8(a, b); }
  LAPIDARY_INLINE I min_bytes(I a, I b) { return _mm256_min_epu8(a, b); }
  LAPIDARY_INLINE I set8(int x) { return _mm256_set1_epi8(static_cast<char>(x)); }
  /// The first n bytes of quarter Part (of 4 / NV vectors' worth) of what `pack` returns.
  template <int NV, int Part>
  LAPIDARY_INLINE void store_part(uint8_t* p, I v, int64_t n) {
    if (n >= NV * kLanes) {
      if constexpr (NV == 4) _mm256_storeu_si256(reinterpret_cast<I*>(p), v);
      if constexpr (NV == 2)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_extracti128_si256(v, Part));
      if constexpr (NV == 1) {
        const auto quarter = static_cast<int64_t>(_mm256_extract_epi64(v, Part));
        __builtin_memcpy(p, &quarter, 8);
      }
      return;
    }
    alignas(32) uint8_t bytes[32];
    _mm256_store_si256(reinterpret_cast<I*>(bytes), v);
    for (int64_t i = 0; i < n; ++i) p[i] = bytes[Part * NV * kLanes + i];
  }

 private:
  LAPIDARY_INLINE I first(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  LAPIDARY_INLINE __m128i low_bytes(I v) {
    const I gathered = _mm256_shuffle_epi8(v, _mm256_set1_epi32(0x0C080400));
    return _mm256_castsi256_si128(
        _mm256_permutevar8x32_epi32(gathered, _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4)));
  }
};
#endif

#if defined(__AVX512F__)
struct Avx512 {
  static constexpr int kLanes = 16;
  using F = __m512;
  using I = __m512i;

  LAPIDARY_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
  LAPIDARY_INLINE I load(const int32_t* p) { return _mm512_loadu_si512(p); }
  LAPIDARY_INLINE I load_u8(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  LAPIDARY_INLINE I load_s8(const uint8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  LAPIDARY_INLINE void store(float* p, F v) { _mm512_storeu_ps(p, v); }
  LAPIDARY_INLINE void store(int32_t* p, I v) { _mm512_storeu_si512(p, v); }
  LAPIDARY_INLINE void store_bytes(uint8_t* p, I v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
  }
  LAPIDARY_INLINE void store(float* p, F v, int64_t n) { _mm512_mask_storeu_ps(p, first(n), v); }
  LAPIDARY_INLINE void store(int32_t* p, I v, int64_t n) {
    _mm512_mask_storeu_epi32(p, first(n), v);
  }
  LAPIDARY_INLINE void store_bytes(uint8_t* p, I v, int64_t n) {
    _mm_mask_storeu_epi8(p, first(n), _mm512_cvtepi32_epi8(v));
  }

  LAPIDARY_INLINE F set(float x) { return _mm512_set1_ps(x); }
  LAPIDARY_INLINE I set(int32_t x) { return _mm512_set1_epi32(x); }
  LAPIDARY_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
  LAPIDARY_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  LAPIDARY_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  LAPIDARY_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
  LAPIDARY_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  LAPIDARY_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
  LAPIDARY_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
  LAPIDARY_INLINE F where_negative(F test, F a, F b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(test, _mm512_setzero_ps(), _CMP_LT_OQ), b, a);
  }
  LAPIDARY_INLINE F where_nan(F test, F a, F b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(test, test, _CMP_UNORD_Q), b, a);
  }
  LAPIDARY_INLINE F head(F v, int64_t n, F other) {
    return _mm512_mask_blend_ps(first(n), other, v);
  }
  LAPIDARY_INLINE float sum(F v) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
  }
  LAPIDARY_INLINE F times_power(F v, I n) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(v), _mm512_slli_epi32(n, 23)));
  }
  LAPIDARY_INLINE float top(F v) {
    const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
  }
  LAPIDARY_INLINE I add(I a, I b) { return _mm512_add_epi32(a, b); }
  LAPIDARY_INLINE I sub(I a, I b) { return _mm512_sub_epi32(a, b); }
  LAPIDARY_INLINE I mul(I a, I b) { return _mm512_mullo_epi32(a, b); }
  LAPIDARY_INLINE I bit_xor(I a, I b) { return _mm512_xor_si512(a, b); }
  LAPIDARY_INLINE uint32_t at_least_bits(I a, I b) { return _mm512_cmpge_epi32_mask(a, b); }
  LAPIDARY_INLINE uint32_t at_least_bits(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
  LAPIDARY_INLINE I or_at_least(I v, F a, F b, I bits) {
    return _mm512_mask_or_epi32(v, _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ), v, bits);
  }
  LAPIDARY_INLINE F to_float(I v) { return _mm512_cvtepi32_ps(v); }
  LAPIDARY_INLINE I to_int(F v) { return _mm512_cvtps_epi32(v); }
  LAPIDARY_INLINE I pack(I a, I b, I c, I d, I zero) {
    const I ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), zero);
    const I cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero);
    const I order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(ab, cd));
  }
  LAPIDARY_INLINE I set16(int x) { return _mm512_set1_epi16(static_cast<int16_t>(x)); }
  LAPIDARY_INLINE I load_raw(const uint8_t* p) { return _mm512_loadu_si512(p); }
  LAPIDARY_INLINE I max_bytes(I a, I b) { return _mm512_max_epu8(a, b); }
  LAPIDARY_INLINE I min_bytes(I a, I b) { return _mm512_min_epu8(a, b); }
  LAPIDARY_INLINE I set8(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }
  template <int NV, int Part>
  LAPIDARY_INLINE void store_part(uint8_t* p, I v, int64_t n) {
    if (n >= NV * kLanes) {
      if constexpr (NV == 4) _mm512_storeu_si512(p, v);
      if constexpr (NV == 2)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_extracti64x4_epi64(v, Part));
      if constexpr (NV == 1)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_extracti32x4_epi32(v, Part));
      return;
    }
    const __mmask64 mask = (1ull << n) - 1;
    if constexpr (NV == 4) _mm512_mask_storeu_epi8(p, mask, v);
    if constexpr (NV == 2)
      _mm256_mask_storeu_epi8(p, static_cast<__mmask32>(mask), _mm512_extracti64x4_epi64(v, Part));
    if constexpr (NV == 1)
      _mm_mask_storeu_epi8(p, static_cast<__mmask16>(mask), _mm512_extracti32x4_epi32(v, Part));
  }

  LAPIDARY_INLINE __mmask16 first(int64_t n) {
    return n >= 16 ? static_cast<__mmask16>(0xFFFF) : static_cast<__mmask16>((1u << n) - 1);
  }
};
#endif

}  // namespace
}  // namespace lapidary::kernels

#if defined(__aarch64__)
#include "kernels/simd_neon.h"
#endif
