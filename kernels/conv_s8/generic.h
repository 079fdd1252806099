#pragma once

#include <cmath>

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

/// The first `pixels` of 4 / NV pixels of NV vectors of channels, as one vector of bytes.
template <class V, int NV>
LAPIDARY_INLINE void store_group(typename V::I bytes, int64_t pixels, int64_t channels, uint8_t* y,
                                 int64_t y_stride) {
  V::template store_part<NV, 0>(y, bytes, channels);
  if constexpr (NV < 4)
    if (pixels > 1) V::template store_part<NV, 1>(y + y_stride, bytes, channels);
  if constexpr (NV < 2) {
    if (pixels > 2) V::template store_part<NV, 2>(y + 2 * y_stride, bytes, channels);
    if (pixels > 3) V::template store_part<NV, 3>(y + 3 * y_stride, bytes, channels);
  }
}

/// Requantization of accumulators in registers, NV vectors of channels each.
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
      store_group<V, NV>(bytes, MR - m, channels, y + m * y_stride, y_stride);
    }
  }
};

/// NV vectors of channels of each pixel as bytes: value(m, v) is vector v of pixel m as integers,
/// to which `zero` is added; the result lies within lo..hi.
template <class V, int NV, class Value>
LAPIDARY_INLINE void store_bytes(int64_t pixels, int64_t channels, int zero, int lo, int hi,
                                 uint8_t* y, int64_t y_stride, const Value& value) {
  constexpr int kPixels = 4 / NV;  // four vectors make one of bytes
  const auto zeros = V::set16(zero);
  const auto low = V::set8(lo), high = V::set8(hi);
  const bool limited = lo > 0 || hi < 255;
  for (int64_t m = 0; m < pixels; m += kPixels, y += kPixels * y_stride) {
    typename V::I q[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) q[i] = value(m + i / NV, i % NV);
    auto bytes = V::pack(q[0], q[1], q[2], q[3], zeros);
    if (limited) bytes = V::min_bytes(V::max_bytes(bytes, low), high);
    store_group<V, NV>(bytes, pixels - m, channels, y, y_stride);
  }
}

/// Requantized accumulators [pixels][NV * lanes].
template <class V, int NV>
LAPIDARY_INLINE void requantize(const ConvS8Args& p, const PackedS8View& packed, int64_t at,
                                int64_t pixels, int64_t channels, const int32_t* acc, uint8_t* y,
                                int64_t y_stride) {
  typename V::F multipliers[NV];
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) multipliers[v] = V::load(packed.multipliers + at + v * V::kLanes);
  const auto scaled = [&](int64_t m, int v) __attribute__((always_inline)) {
    return V::mul(V::to_float(V::load(acc + (m * NV + v) * V::kLanes)), multipliers[v]);
  };
  if (packed.head->small_multipliers != 0) {  // int32 holds the product: saturation does the rest
    store_bytes<V, NV>(
        pixels, channels, p.y_zero, p.lo, p.hi, y,
        y_stride, [&](int64_t m, int v) __attribute__((always_inline)) {
          return V::to_int(scaled(m, v));
        });
    return;
  }
  const auto lo = V::set(static_cast<float>(p.lo - p.y_zero)),
             hi = V::set(static_cast<float>(p.hi - p.y_zero));
  store_bytes<V, NV>(
      pixels, channels, p.y_zero, p.lo, p.hi, y,
      y_stride, [&](int64_t m, int v) __attribute__((always_inline)) {
        return V::to_int(V::min(V::max(scaled(m, v), lo), hi));
      });
}

/// QLinearAdd of `bytes` [pixels][NV * lanes] and the residual.
template <class V, int NV, bool kConvIsA, bool kShifted>
LAPIDARY_INLINE void add_residual(const ConvS8Args& p, const IgemmTile& t, int64_t pixels,
                                  const uint8_t* bytes, uint8_t* y, int64_t y_stride) {
  const AddU8& add = p.residual.add;
  const int64_t stride = p.residual.stride > 0 ? p.residual.stride : p.shape.out_c;
  const uint8_t* other = p.residual.data + t.pixel * stride + t.channel;
  const auto ra = V::set(add.ra), rb = V::set(add.rb), f = V::set(add.f);
  const auto result = ByteResult<V, kShifted>::of(add);
  const auto sum = [&](int64_t m, int v) __attribute__((always_inline)) {
    m = at_most(m, pixels - 1);
    const auto own = result.value(V::load_u8(bytes + (m * NV + v) * V::kLanes));
    const auto its = result.value(V::load_u8(other + m * stride + v * V::kLanes));
    return V::fma(kConvIsA ? own : its, ra, V::fma(kConvIsA ? its : own, rb, f));
  };
  // Below 2^30 int32 holds every sum, and saturation does the rest.
  if (255.0f * (std::fabs(add.ra) + std::fabs(add.rb)) + std::fabs(add.f) < 1073741824.0f) {
    store_bytes<V, NV>(
        pixels, t.channels, add.shift, add.lo, add.hi, y,
        y_stride, [&](int64_t m, int v) __attribute__((always_inline)) {
          return V::to_int(sum(m, v));
        });
    return;
  }
  store_bytes<V, NV>(
      pixels, t.channels, add.shift, add.lo, add.hi, y,
      y_stride, [&](int64_t m, int v) __attribute__((always_inline)) {
        return V::to_int(V::min(V::max(sum(m, v), result.lo), result.hi));
      });
}

#if defined(__AVX512VNNI__)
/// Requantized accumulators [pixels][NV * lanes] through the table.
template <int NV, bool kUpper>
__attribute__((noinline)) LAPIDARY_VBMI void requantize_by_table(
    const ConvS8Args& p, const PackedS8View& packed, int64_t at, int64_t pixels, int64_t channels,
    const int32_t* acc, uint8_t* y, int64_t y_stride) {
  using V = Avx512;
  constexpr int kPixels = 4 / NV;
  const auto table = TableVbmi<kUpper>::load(p.table);
  const auto lo = V::set(static_cast<float>(p.lo - p.y_zero)),
             hi = V::set(static_cast<float>(p.hi - p.y_zero));
  const auto zeros = V::set16(p.y_zero), low = V::set8(p.lo), high = V::set8(p.hi);
  const bool small = packed.head->small_multipliers != 0;
  typename V::F multipliers[NV];
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) multipliers[v] = V::load(packed.multipliers + at + v * V::kLanes);
  for (int64_t m = 0; m < pixels; m += kPixels, acc += 4 * V::kLanes, y += kPixels * y_stride) {
    typename V::I q[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      auto scaled = V::mul(V::to_float(V::load(acc + i * V::kLanes)), multipliers[i % NV]);
      if (!small) scaled = V::min(V::max(scaled, lo), hi);
      q[i] = V::to_int(scaled);
    }
    const auto bytes = V::pack(q[0], q[1], q[2], q[3], zeros);
    store_group<V, NV>(table[V::min_bytes(V::max_bytes(bytes, low), high)], pixels - m, channels, y,
                       y_stride);
  }
}
#endif

/// What follows requantization, over the tile's bytes [pixels][NV * lanes].
template <class V, int NV>
__attribute__((noinline)) void finish_bytes(const ConvS8Args& p, const IgemmTile& t, int64_t pixels,
                                            uint8_t* bytes, uint8_t* y, int64_t y_stride) {
  constexpr int64_t kRow = NV * V::kLanes;
  if (p.table != nullptr) lut_row<V>(bytes, bytes, pixels * kRow, p.table, p.lo);
  const bool shifted = p.residual.add.shift != 0;
  if (p.residual.data == nullptr) {
    for (int64_t m = 0; m < pixels; m += 4 / NV)
      store_group<V, NV>(V::load_raw(bytes + m * kRow), pixels - m, t.channels, y + m * y_stride,
                         y_stride);
  } else if (p.residual.conv_is_a) {
    if (shifted)
      add_residual<V, NV, true, true>(p, t, pixels, bytes, y, y_stride);
    else
      add_residual<V, NV, true, false>(p, t, pixels, bytes, y, y_stride);
  } else if (shifted) {
    add_residual<V, NV, false, true>(p, t, pixels, bytes, y, y_stride);
  } else {
    add_residual<V, NV, false, false>(p, t, pixels, bytes, y, y_stride);
  }
}

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

/// What becomes of accumulators [pixels][NV * lanes], read in whole groups of four vectors.
template <class V, int NV>
__attribute__((noinline)) void finish_sums(const IgemmTile& t, int64_t pixels, const int32_t* acc) {
  const auto& p = *static_cast<const ConvS8Args*>(t.args);
  const int64_t y_stride = p.y_stride > 0 ? p.y_stride : p.shape.out_c;
  if (p.output != ConvS8Output::kU8) return store_words<V>(p, t, pixels, NV, y_stride, acc);
  const PackedS8View packed = view_packed(p.packed);
  uint8_t* y = static_cast<uint8_t*>(p.y) + t.pixel * y_stride + t.channel;
  if (p.table == nullptr && p.residual.data == nullptr) {
    requantize<V, NV>(p, packed, t.at, pixels, t.channels, acc, y, y_stride);
    return;
  }
#if defined(__AVX512VNNI__)
  if (p.residual.data == nullptr && vbmi_enabled()) {
    const auto store = p.lo >= 128 ? requantize_by_table<NV, true> : requantize_by_table<NV, false>;
    return store(p, packed, t.at, pixels, t.channels, acc, y, y_stride);
  }
#endif
  constexpr int64_t kRow = NV * V::kLanes;
  alignas(64) uint8_t bytes[2 * kHalfTile * kRow + 64];
  requantize<V, NV>(p, packed, t.at, pixels, kRow, acc, bytes, kRow);
  finish_bytes<V, NV>(p, t, pixels, bytes, y, y_stride);
}

template <class V, int MR, int NV>
LAPIDARY_INLINE void finish_s8(const IgemmTile& t, typename V::I (&acc)[MR][NV]) {
  constexpr int kVectors = (MR * NV + 3) / 4 * 4;
  alignas(64) int32_t sums[kVectors * V::kLanes];
#pragma GCC unroll 14
  for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) V::store(sums + (m * NV + v) * V::kLanes, acc[m][v]);
#pragma GCC unroll 4
  for (int i = MR * NV; i < kVectors; ++i) V::store(sums + i * V::kLanes, V::set(0));
  finish_sums<V, NV>(t, MR, sums);
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
