#pragma once

#include "kernels/conv_s8/generic.h"
#include "kernels/depthwise/run.h"
#include "kernels/dw_s8/pack.h"

namespace lapidary::kernels {
namespace {

/// Taps of one column, D::kTaps lines at a time, are interleaved to [channel][line] and multiplied
/// by weights [kx][group of lines][channel][line]. D gives
///   kTaps, column<R>(lines, at) = [channel][x of lines[0..R-1] at that offset, 0..],
///   dot(acc, column, w), sum(acc, column) = dot with weights 1, every(x): x in place of each input
template <class V, class D>
struct DwPolicyS8 : BytesSource {
  using Vec = typename V::I;
  static constexpr IgemmTraits kTraits = {.lanes = V::kLanes,
                                          .registers = V::kLanes == 8 ? 16 : 32,
                                          .unit = 4,
                                          .source_bytes = 1,
                                          .element_bytes = 1};

  static int64_t block_bytes(const ConvShape& s) {
    return s.kernel_w * up_to(s.kernel_h, D::kTaps) * V::kLanes * 4;
  }

  template <int K, int S>
  static void square(const DwLine& line, const IgemmTile& t) {
    const auto& p = *static_cast<const ConvS8Args*>(t.args);
    const int64_t y_stride = p.y_stride > 0 ? p.y_stride : p.shape.out_c;
    if (p.output != ConvS8Output::kU8) {
      each_dw_tile<K, S>(line, [&]<int T, bool kEdge>(int64_t m) {
        Vec acc[T][1];
        IgemmTile tile = t;
        tile.pixel += m;
        start_s8<V, T, 1>(tile, acc);
        accumulate<K, S, T, kEdge>(line, m, t.w, acc);
        finish_s8<V, T, 1>(tile, acc);
      });
      return;
    }
    uint8_t* y = static_cast<uint8_t*>(p.y) + t.pixel * y_stride + t.channel;
    const Vec bias = V::load(view_packed(p.packed).bias + t.at);
    const StoreU8<V, 1> store(p, t.at, t.channels, y_stride);
    each_dw_tile<K, S>(line, [&]<int T, bool kEdge>(int64_t m) {
      Vec acc[T][1];
#pragma GCC unroll 4
      for (int o = 0; o < T; ++o) acc[o][0] = bias;
      accumulate<K, S, T, kEdge>(line, m, t.w, acc);
      store(y + m * y_stride, acc);
    });
    if (p.table != nullptr || p.residual.data != nullptr)
      after_u8<V>(p, t, line.pixels, y, y_stride);
  }

  template <int T>
  static void any(const DwTaps& taps, const IgemmTile& t) {
    Vec acc[T][1], sums[T];
    start_s8<V, T, 1>(t, acc);
#pragma GCC unroll 4
    for (int o = 0; o < T; ++o) sums[o] = V::set(0);
    const char* w = t.w;
    for (int64_t kx = 0; kx < taps.kernel_w; ++kx) {
      for (int64_t ky = 0; ky < taps.kernel_h; ky += D::kTaps, w += V::kLanes * 4) {
        const char* tap = t.a + ky * taps.tap_y + kx * taps.tap_x;
        const char* lines[4] = {tap, tap + taps.tap_y, tap + 2 * taps.tap_y, tap + 3 * taps.tap_y};
        const int64_t count = at_most(D::kTaps, taps.kernel_h - ky);
#pragma GCC unroll 4
        for (int o = 0; o < T; ++o) {
          const Vec inputs = column(count, lines, o * t.a_pixel);
          acc[o][0] = D::dot(acc[o][0], inputs, load_weights(w));
          if (taps.has_zero_points) sums[o] = D::sum(sums[o], inputs);
        }
      }
    }
    if (taps.has_zero_points) {
      const PackedS8View packed = view_packed(static_cast<const ConvS8Args*>(t.args)->packed);
      const Vec zero = V::load(packed.zero_points + t.at);
#pragma GCC unroll 4
      for (int o = 0; o < T; ++o) acc[o][0] = V::sub(acc[o][0], V::mul(zero, sums[o]));
    }
    finish_s8<V, T, 1>(t, acc);
  }

 private:
  LAPIDARY_INLINE Vec load_weights(const char* w) {
    return V::load(reinterpret_cast<const int32_t*>(w));
  }

  LAPIDARY_INLINE Vec column(int64_t count, const char* const* lines, int64_t at) {
    if (count == 1) return D::template column<1>(lines, at);
    if constexpr (D::kTaps == 4) {
      if (count == 2) return D::template column<2>(lines, at);
      if (count == 3) return D::template column<3>(lines, at);
    }
    return D::template column<D::kTaps>(lines, at);
  }

  /// Each column is interleaved once and serves every output whose window holds it.
  template <int K, int S, int T, bool kEdge>
  LAPIDARY_INLINE void accumulate(const DwLine& line, int64_t m, const char* w, Vec (&acc)[T][1]) {
    constexpr int kGroups = (K + D::kTaps - 1) / D::kTaps;
    constexpr int64_t kVector = V::kLanes * 4;
    const int64_t ix = line.ix + m * S;
#pragma GCC unroll 16
    for (int x = 0; x < (T - 1) * S + K; ++x) {
      const bool outside = kEdge && (ix + x < 0 || ix + x >= line.in_w);
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) {
        const int count = K - g * D::kTaps < D::kTaps ? K - g * D::kTaps : D::kTaps;
        const Vec inputs =
            outside ? D::every(line.fill)
                    : column(count, line.lines + g * D::kTaps, (ix + x) * line.pixel_bytes);
#pragma GCC unroll 4
        for (int o = 0; o < T; ++o) {
          const int kx = x - o * S;
          if (kx < 0 || kx >= K) continue;
          acc[o][0] = D::dot(acc[o][0], inputs, load_weights(w + (kx * kGroups + g) * kVector));
        }
      }
    }
  }
};

template <class V, class D>
struct DwS8 {
  using Policy = DwPolicyS8<V, D>;

  static size_t packed_bytes(const ConvShape& s) {
    return packed_dw_s8_bytes(s, V::kLanes, D::kTaps);
  }
  static size_t scratch_bytes(const ConvShape& s) { return dw_scratch_bytes(s, Policy::kTraits); }
  static int64_t blocks(const ConvShape&) { return 1; }
  static void pack(const ConvShape& s, const ConvS8Weights& w, void* packed) {
    pack_dw_s8(s, w, V::kLanes, D::kTaps, packed);
  }
  static void run(const ConvS8Args& p) {
    const PackedS8View packed = view_packed(p.packed);
    const IgemmOperands operands = {.x = p.x,
                                    .weights = reinterpret_cast<const char*>(packed.weights),
                                    .needs_sums = packed.head->has_zero_points != 0,
                                    .scratch = p.scratch,
                                    .args = &p};
    run_dw<Policy>(p.shape, p.range, operands, static_cast<uint8_t>(p.x_zero));
  }
};

}  // namespace
}  // namespace lapidary::kernels
