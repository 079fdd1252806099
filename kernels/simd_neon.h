#pragma once

#include <arm_neon.h>

#include <cstdint>

// The part of simd.h, which includes this, for AArch64.
namespace lapidary::kernels {
namespace {

struct Neon {
  static constexpr int kLanes = 4;
  using F = float32x4_t;
  using I = int32x4_t;

  LAPIDARY_INLINE F load(const float* p) { return vld1q_f32(p); }
  LAPIDARY_INLINE I load(const int32_t* p) { return vld1q_s32(p); }
  LAPIDARY_INLINE I load_u8(const uint8_t* p) {
    const uint16x8_t wide = vmovl_u8(load_word(p));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
  }
  LAPIDARY_INLINE I load_s8(const uint8_t* p) {
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_u8(load_word(p)));
    return vmovl_s16(vget_low_s16(wide));
  }
  LAPIDARY_INLINE void store(float* p, F v) { vst1q_f32(p, v); }
  LAPIDARY_INLINE void store(int32_t* p, I v) { vst1q_s32(p, v); }
  LAPIDARY_INLINE void store_bytes(uint8_t* p, I v) { store_word(p, low_bytes(v)); }
  LAPIDARY_INLINE void store(float* p, F v, int64_t n) {
    store(reinterpret_cast<int32_t*>(p), vreinterpretq_s32_f32(v), n);
  }
  LAPIDARY_INLINE void store(int32_t* p, I v, int64_t n) {
    if (n >= kLanes) return vst1q_s32(p, v);
    if (n > 0) vst1q_lane_s32(p, v, 0);
    if (n > 1) vst1q_lane_s32(p + 1, v, 1);
    if (n > 2) vst1q_lane_s32(p + 2, v, 2);
  }
  LAPIDARY_INLINE void store_bytes(uint8_t* p, I v, int64_t n) {
    if (n >= kLanes) return store_bytes(p, v);
    const uint8x8_t bytes = low_bytes(v);
    if (n > 0) vst1_lane_u8(p, bytes, 0);
    if (n > 1) vst1_lane_u8(p + 1, bytes, 1);
    if (n > 2) vst1_lane_u8(p + 2, bytes, 2);
  }

  LAPIDARY_INLINE F set(float x) { return vdupq_n_f32(x); }
  LAPIDARY_INLINE I set(int32_t x) { return vdupq_n_s32(x); }
  LAPIDARY_INLINE F add(F a, F b) { return vaddq_f32(a, b); }
  LAPIDARY_INLINE F sub(F a, F b) { return vsubq_f32(a, b); }
  LAPIDARY_INLINE F mul(F a, F b) { return vmulq_f32(a, b); }
  LAPIDARY_INLINE F div(F a, F b) { return vdivq_f32(a, b); }
  LAPIDARY_INLINE F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  // FMIN, FMAX, FMINNM and FMAXNM treat NaN otherwise.
  LAPIDARY_INLINE F min(F a, F b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  LAPIDARY_INLINE F max(F a, F b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  LAPIDARY_INLINE F where_negative(F test, F a, F b) { return vbslq_f32(vcltzq_f32(test), a, b); }
  LAPIDARY_INLINE F where_nan(F test, F a, F b) { return vbslq_f32(vceqq_f32(test, test), b, a); }
  LAPIDARY_INLINE F head(F v, int64_t n, F other) {
    if (n >= kLanes) return v;
    const int32_t lanes[] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(static_cast<int32_t>(n))), v, other);
  }
  LAPIDARY_INLINE float sum(F v) { return vpadds_f32(vadd_f32(vget_low_f32(v), vget_high_f32(v))); }
  LAPIDARY_INLINE F times_power(F v, I n) {
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(v), vshlq_n_s32(n, 23)));
  }
  LAPIDARY_INLINE float top(F v) { return vmaxvq_f32(v); }
  LAPIDARY_INLINE I add(I a, I b) { return vaddq_s32(a, b); }
  LAPIDARY_INLINE I sub(I a, I b) { return vsubq_s32(a, b); }
  LAPIDARY_INLINE I mul(I a, I b) { return vmulq_s32(a, b); }
  LAPIDARY_INLINE I bit_xor(I a, I b) { return veorq_s32(a, b); }
  LAPIDARY_INLINE uint32_t at_least_bits(I a, I b) { return lane_bits(vcgeq_s32(a, b)); }
  LAPIDARY_INLINE uint32_t at_least_bits(F a, F b) { return lane_bits(vcgeq_f32(a, b)); }
  LAPIDARY_INLINE I or_at_least(I v, F a, F b, I bits) {
    return vorrq_s32(v, vandq_s32(vreinterpretq_s32_u32(vcgeq_f32(a, b)), bits));
  }
  LAPIDARY_INLINE F to_float(I v) { return vcvtq_f32_s32(v); }
  LAPIDARY_INLINE I to_int(F v) { return vcvtnq_s32_f32(v); }  // half to even
  LAPIDARY_INLINE I pack(I a, I b, I c, I d, I zero) {
    const int16x8_t shift = vreinterpretq_s16_s32(zero);
    const int16x8_t ab = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), shift);
    const int16x8_t cd = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), shift);
    return vreinterpretq_s32_u8(vqmovun_high_s16(vqmovun_s16(ab), cd));
  }
  LAPIDARY_INLINE I set16(int x) {
    return vreinterpretq_s32_s16(vdupq_n_s16(static_cast<int16_t>(x)));
  }
  LAPIDARY_INLINE I load_raw(const uint8_t* p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
  LAPIDARY_INLINE I max_bytes(I a, I b) {
    return vreinterpretq_s32_u8(vmaxq_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)));
  }
  LAPIDARY_INLINE I min_bytes(I a, I b) {
    return vreinterpretq_s32_u8(vminq_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)));
  }
  LAPIDARY_INLINE I set8(int x) {
    return vreinterpretq_s32_u8(vdupq_n_u8(static_cast<uint8_t>(x)));
  }
  template <int NV, int Part>
  LAPIDARY_INLINE void store_part(uint8_t* p, I v, int64_t n) {
    if (n >= NV * kLanes) {
      if constexpr (NV == 4) vst1q_u8(p, vreinterpretq_u8_s32(v));
      if constexpr (NV == 2) {
        const auto half = static_cast<int64_t>(vgetq_lane_s64(vreinterpretq_s64_s32(v), Part));
        __builtin_memcpy(p, &half, 8);
      }
      if constexpr (NV == 1) {
        const int32_t quarter = vgetq_lane_s32(v, Part);
        __builtin_memcpy(p, &quarter, 4);
      }
      return;
    }
    alignas(16) uint8_t bytes[16];
    vst1q_u8(bytes, vreinterpretq_u8_s32(v));
    for (int64_t i = 0; i < n; ++i) p[i] = bytes[Part * NV * kLanes + i];
  }

  /// Four bytes, then zeros.
  LAPIDARY_INLINE uint8x8_t load_word(const void* p) {
    uint32_t word;
    __builtin_memcpy(&word, p, 4);
    return vcreate_u8(word);
  }

 private:
  LAPIDARY_INLINE uint32_t lane_bits(uint32x4_t mask) {
    const uint32_t bits[] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(mask, vld1q_u32(bits)));
  }
  LAPIDARY_INLINE void store_word(uint8_t* p, uint8x8_t v) {
    const uint32_t word = vget_lane_u32(vreinterpret_u32_u8(v), 0);
    __builtin_memcpy(p, &word, 4);
  }
  LAPIDARY_INLINE uint8x8_t low_bytes(I v) {
    const uint16x4_t low = vmovn_u32(vreinterpretq_u32_s32(v));
    return vmovn_u16(vcombine_u16(low, low));
  }
};

}  // namespace
}  // namespace lapidary::kernels
