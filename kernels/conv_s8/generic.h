#pragma once

#include "kernels/conv_s8/packed.h"
#include "kernels/eltwise_s8/generic.h"
#include "kernels/igemm/run.h"

namespace lapidary::kernels {
namespace {

/// bias[c] - zw[c] * sum of the pixel's inputs.
template <class V, int MR, int NV>
LAPIDARY_INLINE void start_s8(const IgemmTile& t, typename V::I (&acc)[MR][NV]) {
  const PackedS8View packed = view_packed(static_cast<const ConvS8Args*>(t.args)->packed);
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    const auto bias = V::load(packed.bias + t.at + v * V::kLanes);
#pragma GCC unroll 14
    for (int m = 0; m < MR; ++m) acc[m][v] = bias;
  }
  if (t.sums == nullptr) return;
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    const auto zero = V::load(packed.zero_points + t.at + v * V::kLanes);
#pragma GCC unroll 14
    for (int m = 0; m < MR; ++m) acc[m][v] = V::sub(acc[m][v], V::mul(zero, V::set(t.sums[m])));
  }
}

/// Table and residual over the tile's u8 results.
template <class V>
__attribute__((noinline)) void after_u8(const ConvS8Args& p, const IgemmTile& t, int64_t pixels,
                                        uint8_t* y, int64_t y_stride) {
  const ConvS8Residual& r = p.residual;
  const int64_t r_stride = r.stride > 0 ? r.stride : p.shape.out_c;
  for (int64_t m = 0; m < pixels; ++m, y += y_stride) {
    if (p.table != nullptr) lut_row<V>(y, y, t.channels, p.table);
    if (r.data == nullptr) continue;
    const uint8_t* other = r.data + (t.pixel + m) * r_stride + t.channel;
    if (r.conv_is_a)
      add_row<V>(y, other, 1, y, t.channels, r.add);
    else
      add_row<V>(other, y, 1, y, t.channels, r.add);
  }
}

/// Requantization of NV vectors of channels, its constants held in registers.
template <class V, int NV>
struct StoreU8 {
  typename V::F multipliers[NV], lo, hi;
  typename V::I zero;
  int64_t channels, y_stride;

  __attribute__((always_inline)) inline StoreU8(const ConvS8Args& p, int64_t at, int64_t channels,
                                                int64_t y_stride)
      : lo(V::set(static_cast<float>(p.lo - p.y_zero))),
        hi(V::set(static_cast<float>(p.hi - p.y_zero))),
        zero(V::set16(p.y_zero)),
        channels(channels),
        y_stride(y_stride) {
    const float* from = view_packed(p.packed).multipliers + at;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) multipliers[v] = V::load(from + v * V::kLanes);
  }

  template <int MR>
  __attribute__((always_inline)) inline void operator()(uint8_t* y,
                                                        typename V::I (&acc)[MR][NV]) const {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
#pragma GCC unroll 14
      for (int m = 0; m < MR; ++m) {
        const auto scaled = V::mul(V::to_float(acc[m][v]), multipliers[v]);
        acc[m][v] = V::to_int(V::min(V::max(scaled, lo), hi));
      }
    }
    // Four vectors make one of bytes: 4 / NV pixels.
    constexpr int kPixels = 4 / NV;
#pragma GCC unroll 14
    for (int m = 0; m < MR; m += kPixels) {
      typename V::I q[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i)
        q[i] = m + i / NV < MR ? acc[(m + i / NV) % MR][i % NV] : V::set(0);
      const auto bytes = V::pack(q[0], q[1], q[2], q[3], zero);
      V::template store_part<NV, 0>(y + m * y_stride, bytes, channels);
      if constexpr (kPixels > 1)
        if (m + 1 < MR) V::template store_part<NV, 1>(y + (m + 1) * y_stride, bytes, channels);
      if constexpr (kPixels > 2) {
        if (m + 2 < MR) V::template store_part<NV, 2>(y + (m + 2) * y_stride, bytes, channels);
        if (m + 3 < MR) V::template store_part<NV, 3>(y + (m + 3) * y_stride, bytes, channels);
      }
    }
  }
};

/// One accumulator after another, for int32 and float results.
template <class V>
__attribute__((noinline)) void store_words(const ConvS8Args& p, const IgemmTile& t, int64_t pixels,
                                           int64_t vectors, int64_t y_stride, const int32_t* acc) {
  const float* multipliers = view_packed(p.packed).multipliers + t.at;
  for (int64_t m = 0; m < pixels; ++m) {
    const int64_t y_at = (t.pixel + m) * y_stride + t.channel;
    for (int64_t c = 0; c < t.channels; c += V::kLanes, acc += V::kLanes) {
      const auto sum = V::load(acc);
      if (p.output == ConvS8Output::kI32) {
        V::store(static_cast<int32_t*>(p.y) + y_at + c, sum, t.channels - c);
        continue;
      }
      auto scaled = V::mul(V::to_float(sum), V::load(multipliers + c));
      if (p.float_bias != nullptr) scaled = V::add(scaled, V::load(p.float_bias + t.channel + c));
      V::store(static_cast<float*>(p.y) + y_at + c, scaled, t.channels - c);
    }
    acc += (vectors - up_to(t.channels, V::kLanes)) * V::kLanes;
  }
}

template <class V, int MR, int NV>
LAPIDARY_INLINE void finish_s8(const IgemmTile& t, typename V::I (&acc)[MR][NV]) {
  const auto& p = *static_cast<const ConvS8Args*>(t.args);
  const int64_t y_stride = p.y_stride > 0 ? p.y_stride : p.shape.out_c;
  if (p.output == ConvS8Output::kU8) {
    uint8_t* y = static_cast<uint8_t*>(p.y) + t.pixel * y_stride + t.channel;
    StoreU8<V, NV>(p, t.at, t.channels, y_stride)(y, acc);
    if (p.table != nullptr || p.residual.data != nullptr) after_u8<V>(p, t, MR, y, y_stride);
    return;
  }
  alignas(64) int32_t words[MR * NV * V::kLanes];
#pragma GCC unroll 14
  for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) V::store(words + (m * NV + v) * V::kLanes, acc[m][v]);
  store_words<V>(p, t, MR, NV, y_stride, words);
}

/// u8 inputs as they are.
struct BytesSource {
  using Source = uint8_t;
  using Element = uint8_t;
  LAPIDARY_INLINE void convert(uint8_t* to, const uint8_t* from, int64_t count) {
    memcpy(to, from, static_cast<size_t>(count));
  }
  LAPIDARY_INLINE void fill(uint8_t* to, uint8_t value, int64_t count) {
    memset(to, value, static_cast<size_t>(count));
  }
};

#if defined(__AVX2__)
/// u8 inputs widened to s16.
struct WordsSource {
  using Source = uint8_t;
  using Element = int16_t;
  static void convert(int16_t* to, const uint8_t* from, int64_t count) {
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
      _mm256_storeu_si256(
          reinterpret_cast<__m256i*>(to + i),
          _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
    for (; i < count; ++i) to[i] = from[i];
  }
  static void fill(int16_t* to, int16_t value, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = value;
  }
};
#endif

template <class V, class Source>
struct PolicyS8 : Source {
  using Vec = typename V::I;
  static constexpr IgemmTraits kTraits = {.lanes = V::kLanes,
                                          .registers = V::kLanes == 8 ? 16 : 32,
                                          .unit = 4 / sizeof(typename Source::Element),
                                          .source_bytes = 1,
                                          .element_bytes = sizeof(typename Source::Element)};
  LAPIDARY_INLINE Vec load(const char* p) { return V::load(reinterpret_cast<const int32_t*>(p)); }
  LAPIDARY_INLINE Vec broadcast(const char* p) {
    int32_t word;
    memcpy(&word, p, 4);
    return V::set(word);
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void start(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    start_s8<V, MR, NV>(t, acc);
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void finish(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    finish_s8<V, MR, NV>(t, acc);
  }
};

template <class P>
struct ConvS8 {
  static size_t packed_bytes(const ConvShape& s) { return packed_s8_igemm_bytes(s, P::kTraits); }
  static size_t scratch_bytes(const ConvShape& s) { return igemm_scratch_bytes(s, P::kTraits); }
  static int64_t blocks(const ConvShape& s) {
    return s.groups * igemm_plan(s, P::kTraits).group_blocks;
  }
  static void pack(const ConvShape& s, const ConvS8Weights& w, void* packed) {
    pack_s8_igemm(s, w, P::kTraits, packed);
  }
  static void run(const ConvS8Args& p) {
    const PackedS8View packed = view_packed(p.packed);
    const IgemmOperands operands = {.x = p.x,
                                    .weights = reinterpret_cast<const char*>(packed.weights),
                                    .needs_sums = packed.head->has_zero_points != 0,
                                    .scratch = p.scratch,
                                    .args = &p};
    run_igemm<P>(p.shape, p.range, operands, static_cast<typename P::Element>(p.x_zero));
  }
};

}  // namespace
}  // namespace lapidary::kernels
