#pragma once

#include "kernels/simd.h"
#include "kernels/stats_f32/stats_f32.h"

namespace lapidary::kernels {
namespace {

/// Bin indices of vectors, gathered in a buffer that is counted whenever it is full: the counters'
/// loads and stores then overlap.
template <class V>
class BinCounter {
 public:
  explicit BinCounter(const BinsF32Args& p) : p_(p) {}

  int64_t run() {
    int64_t zeros = 0;
    for (int64_t i = 0; i < p_.count; i += V::kLanes) {
      zeros += take(p_.x + i, p_.count - i);
      if (held_ > kBuffer - V::kLanes) flush();
    }
    flush();
    if (kZerosApart && zeros > 0) p_.counts[-p_.first] += static_cast<uint32_t>(zeros);
    return zeros;
  }

 private:
  static constexpr int64_t kBuffer = 256;

#if defined(__AVX512F__)
  static constexpr bool kZerosApart = true;
  /// The first n of 16 elements. Zeros, about half of what a ReLU leaves, are
  /// only counted.
  int64_t take(const float* x, int64_t n) {
    const __mmask16 present = V::first(n);
    const __m512 v = _mm512_maskz_loadu_ps(present, x);
    const __mmask16 other = _mm512_mask_cmp_ps_mask(present, v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    const __m512 scaled = _mm512_mul_ps(v, _mm512_set1_ps(p_.inverse_width));
    const __m512i floor =
        _mm512_cvt_roundps_epi32(scaled, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const __m512i index = _mm512_sub_epi32(floor, _mm512_set1_epi32(p_.first));
    _mm512_storeu_si512(index_ + held_, _mm512_maskz_compress_epi32(other, index));
    held_ += __builtin_popcount(other);
    return __builtin_popcount(present) - __builtin_popcount(other);
  }
#else
  static constexpr bool kZerosApart = false;
#if defined(__AVX2__)
  int64_t take(const float* x, int64_t n) {
    if (n < V::kLanes) return take_singly(x, n);
    const __m256 v = _mm256_loadu_ps(x);
    const __m256 scaled = _mm256_mul_ps(v, _mm256_set1_ps(p_.inverse_width));
    const __m256i floor = _mm256_cvttps_epi32(_mm256_floor_ps(scaled));
    V::store(index_ + held_, V::sub(floor, V::set(p_.first)));
    held_ += V::kLanes;
    return __builtin_popcount(static_cast<unsigned>(
        _mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_EQ_OQ))));
  }
#elif defined(__aarch64__)
  int64_t take(const float* x, int64_t n) {
    if (n < V::kLanes) return take_singly(x, n);
    const float32x4_t v = vld1q_f32(x);
    const int32x4_t floor = vcvtmq_s32_f32(vmulq_n_f32(v, p_.inverse_width));
    V::store(index_ + held_, V::sub(floor, V::set(p_.first)));
    held_ += V::kLanes;
    return vaddvq_u32(vshrq_n_u32(vceqzq_f32(v), 31));
  }
#endif
  int64_t take_singly(const float* x, int64_t n) {
    int64_t zeros = 0;
    for (int64_t i = 0; i < n; ++i) {
      index_[held_++] = static_cast<int32_t>(__builtin_floorf(x[i] * p_.inverse_width)) - p_.first;
      zeros += x[i] == 0.0f;
    }
    return zeros;
  }
#endif

  void flush() {
    uint32_t *a = p_.counts, *b = a + p_.lane_stride, *c = b + p_.lane_stride,
             *d = c + p_.lane_stride;
    int64_t j = 0;
    for (; j + kBinLanes <= held_; j += kBinLanes) {
      ++a[index_[j]];
      ++b[index_[j + 1]];
      ++c[index_[j + 2]];
      ++d[index_[j + 3]];
    }
    for (; j < held_; ++j) ++a[index_[j]];
    held_ = 0;
  }

  const BinsF32Args& p_;
  int64_t held_ = 0;
  alignas(64) int32_t index_[kBuffer + V::kLanes];
};

template <class V>
struct StatsF32 {
  using F = typename V::F;
  static constexpr int kWide = 4;  // vectors of a block: accumulators stay in registers

  static void scan(const ColumnsF32Args& p) {
    blocks(p, [&p](auto width, int64_t c) { scan_block<width>(p, c); });
  }
  static void sum(const ColumnsF32Args& p) {
    blocks(p, [&p](auto width, int64_t c) { sum_block<width>(p, c); });
  }
  static int64_t bin(const BinsF32Args& p) { return BinCounter<V>(p).run(); }

 private:
  template <int N>
  struct Width {
    constexpr operator int() const { return N; }
  };

  template <class Block>
  LAPIDARY_INLINE void blocks(const ColumnsF32Args& p, Block block) {
    int64_t c = 0;
    for (; c + kWide * V::kLanes <= p.columns; c += kWide * V::kLanes) block(Width<kWide>(), c);
    for (; c < p.columns; c += V::kLanes) block(Width<1>(), c);
  }

  template <int N>
  LAPIDARY_INLINE void scan_block(const ColumnsF32Args& p, int64_t c) {
    F low[N], high[N], sum[N];
    for (int v = 0; v < N; ++v) {
      low[v] = V::load(p.low + c + v * V::kLanes);
      high[v] = V::load(p.high + c + v * V::kLanes);
      sum[v] = V::load(p.sum + c + v * V::kLanes);
    }
    const float* x = p.x + c;
    for (int64_t r = 0; r < p.rows; ++r, x += p.stride)
      for (int v = 0; v < N; ++v) {
        const F at = V::load(x + v * V::kLanes);
        low[v] = V::min(at, low[v]);
        high[v] = V::max(at, high[v]);
        sum[v] = V::add(sum[v], at);
      }
    for (int v = 0; v < N; ++v) {
      const int64_t at = c + v * V::kLanes;
      V::store(p.low + at, low[v], p.columns - at);
      V::store(p.high + at, high[v], p.columns - at);
      V::store(p.sum + at, sum[v], p.columns - at);
    }
  }

  template <int N>
  LAPIDARY_INLINE void sum_block(const ColumnsF32Args& p, int64_t c) {
    F sum[N];
    for (int v = 0; v < N; ++v) sum[v] = V::load(p.sum + c + v * V::kLanes);
    const float* x = p.x + c;
    for (int64_t r = 0; r < p.rows; ++r, x += p.stride)
      for (int v = 0; v < N; ++v) sum[v] = V::add(sum[v], V::load(x + v * V::kLanes));
    for (int v = 0; v < N; ++v) {
      const int64_t at = c + v * V::kLanes;
      V::store(p.sum + at, sum[v], p.columns - at);
    }
  }
};

}  // namespace
}  // namespace lapidary::kernels
