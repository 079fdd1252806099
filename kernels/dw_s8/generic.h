#pragma once

#include "kernels/conv_s8/generic.h"
#include "kernels/depthwise/run.h"
#include "kernels/dw_s8/pack.h"

namespace lapidary::kernels {
namespace {

/// Taps of one column, D::kTaps lines at a time, are interleaved to [channel][line] and multiplied
/// by weights [kx][group of lines][channel][line]. D gives
///   kTaps, column<R>(p, tap_y) = [channel][x of line 0..R-1, 0..], dot(acc, column, w), ones()
template <class V, class D>
struct DwPolicyS8 : BytesSource {
  using Vec = typename V::I;
  static constexpr IgemmTraits kTraits = {.lanes = V::kLanes,
                                          .registers = V::kLanes == 16 ? 32 : 16,
                                          .unit = 4,
                                          .source_bytes = 1,
                                          .element_bytes = 1};

  static int64_t block_bytes(const ConvShape& s) {
    return s.kernel_w * up_to(s.kernel_h, D::kTaps) * V::kLanes * 4;
  }

  template <int K, int S, int T>
  static void tile(const DwTaps& taps, const IgemmTile& t) {
    Vec acc[T][1];
    start_s8<V, T, 1>(t, acc);
    if constexpr (K > 0)
      square<K, S, T>(taps, t, acc);
    else
      any<T>(taps, t, acc);
    finish_s8<V, T, 1>(t, acc);
  }

 private:
  LAPIDARY_INLINE Vec load_weights(const char* w) {
    return V::load(reinterpret_cast<const int32_t*>(w));
  }

  /// `lines` of kTaps lines, from p.
  LAPIDARY_INLINE Vec column(int64_t lines, const char* p, int64_t tap_y) {
    if (lines == 1) return D::template column<1>(p, tap_y);
    if constexpr (D::kTaps == 4) {
      if (lines == 2) return D::template column<2>(p, tap_y);
      if (lines == 3) return D::template column<3>(p, tap_y);
    }
    return D::template column<D::kTaps>(p, tap_y);
  }

  template <int K, int S, int T>
  LAPIDARY_INLINE void square(const DwTaps& taps, const IgemmTile& t, Vec (&acc)[T][1]) {
    constexpr int kGroups = (K + D::kTaps - 1) / D::kTaps;
    constexpr int64_t kVector = V::kLanes * 4;
#pragma GCC unroll 16
    for (int x = 0; x < (T - 1) * S + K; ++x) {
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g) {
        const int lines = K - g * D::kTaps < D::kTaps ? K - g * D::kTaps : D::kTaps;
        const Vec taps_in =
            column(lines, t.a + x * taps.tap_x + g * D::kTaps * taps.tap_y, taps.tap_y);
#pragma GCC unroll 4
        for (int o = 0; o < T; ++o) {
          const int kx = x - o * S;
          if (kx < 0 || kx >= K) continue;
          acc[o][0] = D::dot(acc[o][0], taps_in, load_weights(t.w + (kx * kGroups + g) * kVector));
        }
      }
    }
  }

  template <int T>
  LAPIDARY_INLINE void any(const DwTaps& taps, const IgemmTile& t, Vec (&acc)[T][1]) {
    Vec sums[T];
#pragma GCC unroll 4
    for (int o = 0; o < T; ++o) sums[o] = V::set(0);
    const char* w = t.w;
    for (int64_t kx = 0; kx < taps.kernel_w; ++kx) {
      for (int64_t ky = 0; ky < taps.kernel_h; ky += D::kTaps, w += V::kLanes * 4) {
        const char* tap = t.a + ky * taps.tap_y + kx * taps.tap_x;
        const int64_t lines = at_most(D::kTaps, taps.kernel_h - ky);
#pragma GCC unroll 4
        for (int o = 0; o < T; ++o) {
          const Vec taps_in = column(lines, tap + o * t.a_pixel, taps.tap_y);
          acc[o][0] = D::dot(acc[o][0], taps_in, load_weights(w));
          if (taps.has_zero_points) sums[o] = D::dot(sums[o], taps_in, D::ones());
        }
      }
    }
    if (!taps.has_zero_points) return;
    const PackedS8View packed = view_packed(static_cast<const ConvS8Args*>(t.args)->packed);
    const Vec zero = V::load(packed.zero_points + t.at);
#pragma GCC unroll 4
    for (int o = 0; o < T; ++o) acc[o][0] = V::sub(acc[o][0], V::mul(zero, sums[o]));
  }
};

template <class V, class D>
struct DwS8 {
  using Policy = DwPolicyS8<V, D>;

  static size_t packed_bytes(const ConvShape& s) {
    return packed_dw_s8_bytes(s, V::kLanes, D::kTaps);
  }
  static size_t scratch_bytes(const ConvShape& s) {
    return igemm_scratch_bytes(s, Policy::kTraits);
  }
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
