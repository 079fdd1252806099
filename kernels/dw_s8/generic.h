#pragma once

#include "kernels/conv_s8/generic.h"
#include "kernels/depthwise/run.h"
#include "kernels/dw_s8/pack.h"

namespace lapidary::kernels {
namespace {

/// Taps of one column, D::kTaps lines at a time, are interleaved to [channel][line] and multiplied
/// by weights [kx][group of lines][channel][line]. D gives
///   kTaps, column<R>(lines, at) = [channel][x of lines[0..R-1] at that offset, 0..],
///   dot(acc, column, w), sum(acc, column) = dot with weights 1, every(x): x in place of each
///   input, kOrder: of the weights of a column, kWide: channels of a wide tile, 0: none; wide<K,
///   S>(line, tile) does what `square` does is_narrow(shape), narrow_scratch_bytes(shape),
///   narrow(shape, range, operands, fill): u8 results of shapes with few channels
struct DwColumns {
  static constexpr UnitOrder kOrder = UnitOrder::kLanes;
  static constexpr int64_t kWide = 0;
  static constexpr bool is_narrow(const ConvShape&) { return false; }
  static size_t narrow_scratch_bytes(const ConvShape&) { return 0; }
  static void narrow(const ConvShape&, const WorkRange&, const IgemmOperands&, int) {}
};

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

  /// More than half of a wide tile's channels are worth one, where its accumulators leave registers
  /// for the filter.
  template <int K>
  static constexpr int64_t lanes_of(int64_t channels) {
    return K == 3 && D::kWide > 0 && 2 * channels > D::kWide ? D::kWide : int64_t{V::kLanes};
  }

  template <int K, int S>
  static void square(const DwLine& line, const IgemmTile& t) {
    const auto& p = *static_cast<const ConvS8Args*>(t.args);
    if constexpr (K == 3 && D::kWide > 0)
      if (t.channels > V::kLanes) return D::template wide<K, S>(line, t);
    const int64_t y_stride = (p.y_stride > 0 ? p.y_stride : p.shape.out_c) * line.step;
    if (p.output != ConvS8Output::kU8) {
      each_dw_tile<K, S>(line, [&]<int T, bool kEdge>(int64_t m) {
        Vec acc[T][1];
        start_s8<V, T, 1>(t, acc);
        accumulate<K, S, T, kEdge>(line, m, t.w, acc);
        for (int o = 0; o < T; ++o) {
          IgemmTile tile = t;
          tile.pixel += (m + o) * line.step;
          Vec one[1][1] = {{acc[o][0]}};
          finish_s8<V, 1, 1>(tile, one);
        }
      });
      return;
    }
    uint8_t* y = static_cast<uint8_t*>(p.y) + t.pixel * (y_stride / line.step) + t.channel;
    const Vec bias = V::load(view_packed(p.packed).bias + t.at);
    const StoreU8<V, 1> store(p, t.at, t.channels, y_stride);
    each_dw_tile<K, S>(line, [&]<int T, bool kEdge>(int64_t m) {
      Vec acc[T][1];
#pragma GCC unroll 4
      for (int o = 0; o < T; ++o) acc[o][0] = bias;
      accumulate<K, S, T, kEdge>(line, m, t.w, acc);
      store(y + m * y_stride, acc);
    });
  }

  /// Table and residual over all channels of a run of u8 results.
  static void finish_line(const void* args, int64_t pixel, int64_t pixels) {
    const auto& p = *static_cast<const ConvS8Args*>(args);
    if (p.output != ConvS8Output::kU8 || (p.table == nullptr && p.residual.data == nullptr)) return;
    const int64_t channels = p.shape.out_c;
    const int64_t y_stride = p.y_stride > 0 ? p.y_stride : channels;
    const int64_t r_stride = p.residual.stride > 0 ? p.residual.stride : channels;
    uint8_t* y = static_cast<uint8_t*>(p.y) + pixel * y_stride;
    // Rows of a pixel each, or one of all where nothing lies between.
    const bool flat = y_stride == channels && (p.residual.data == nullptr || r_stride == channels);
    const int64_t rows = flat ? 1 : pixels, cols = flat ? pixels * channels : channels;
    for (int64_t r = 0; r < rows; ++r, y += y_stride) {
      if (p.table != nullptr) lut_row<V>(y, y, cols, p.table, p.lo);
      if (p.residual.data == nullptr) continue;
      const uint8_t* other = p.residual.data + (pixel + r) * r_stride;
      if (p.residual.conv_is_a)
        add_row<V>(y, other, 1, y, cols, p.residual.add);
      else
        add_row<V>(other, y, 1, y, cols, p.residual.add);
    }
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
    const int64_t ix = line.ix + m * S * line.step;
#pragma GCC unroll 16
    for (int x = 0; x < (T - 1) * S + K; ++x) {
      const int64_t at = ix + x * line.step;
      const bool outside = kEdge && (at < 0 || at >= line.in_w);
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) {
        const int count = K - g * D::kTaps < D::kTaps ? K - g * D::kTaps : D::kTaps;
        const Vec inputs = outside
                               ? D::every(line.fill)
                               : column(count, line.lines + g * D::kTaps, at * line.pixel_bytes);
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
  static constexpr DwPacking kPacking = {
      .lanes = V::kLanes, .taps = D::kTaps, .wide = D::kWide, .order = D::kOrder};

  static size_t packed_bytes(const ConvShape& s) { return packed_dw_s8_bytes(s, kPacking); }
  static size_t scratch_bytes(const ConvShape& s) {
    const size_t bytes = dw_scratch_bytes(s, Policy::kTraits);
    if (!D::is_narrow(s)) return bytes;
    const size_t narrow = D::narrow_scratch_bytes(s);
    return narrow > bytes ? narrow : bytes;
  }
  static int64_t blocks(const ConvShape&) { return 1; }
  static void pack(const ConvShape& s, const ConvS8Weights& w, void* packed) {
    pack_dw_s8(s, w, kPacking, packed);
  }
  static void run(const ConvS8Args& p) {
    const PackedS8View packed = view_packed(p.packed);
    const IgemmOperands operands = {.x = p.x,
                                    .weights = reinterpret_cast<const char*>(packed.weights),
                                    .needs_sums = packed.head->has_zero_points != 0,
                                    .scratch = p.scratch,
                                    .args = &p};
    if (p.output == ConvS8Output::kU8 && !operands.needs_sums && D::is_narrow(p.shape)) {
      D::narrow(p.shape, p.range, operands, p.x_zero);
      const int64_t begin = p.range.row_begin;
      const int64_t end = p.range.row_end < 0 ? work_rows(p.shape) : p.range.row_end;
      Policy::finish_line(&p, begin * p.shape.out_w, (end - begin) * p.shape.out_w);
      return;
    }
    run_dw<Policy>(p.shape, p.range, operands, static_cast<uint8_t>(p.x_zero));
  }
};

}  // namespace
}  // namespace lapidary::kernels
