#pragma once

#include "kernels/conv_f32/generic.h"
#include "kernels/depthwise/run.h"
#include "kernels/dw_f32/pack.h"

namespace lapidary::kernels {
namespace {

/// Weights of a block: [KH][KW][lanes].
template <class V>
struct DwPolicyF32 : PolicyF32<V, ConvTileF32<V>> {
  using Base = PolicyF32<V, ConvTileF32<V>>;
  using Vec = typename V::F;

  static int64_t block_bytes(const ConvShape& s) { return s.kernel_h * s.kernel_w * V::kLanes * 4; }
  template <int K>
  static constexpr int64_t lanes_of(int64_t) {
    return V::kLanes;
  }
  static void finish_line(const void*, int64_t, int64_t) {}

  /// Weights of a block, in registers where there are enough for 3 x 3 of them.
  template <int K>
  struct Weights {
    static constexpr bool kHeld = K == 3 && Base::kTraits.registers == 32;
    const float* w;
    Vec held[kHeld ? K * K : 1];
    __attribute__((always_inline)) inline explicit Weights(const float* from) : w(from) {
      if constexpr (kHeld) {
#pragma GCC unroll 9
        for (int i = 0; i < K * K; ++i) held[i] = V::load(from + i * V::kLanes);
      }
    }
    __attribute__((always_inline)) inline Vec at(int i) const {
      if constexpr (kHeld) return held[i];
      return V::load(w + i * V::kLanes);
    }
  };
  /// Outputs of a tile: accumulators for seven beside nine weights, four where weights come from
  /// memory.
  template <int K, int S>
  static constexpr int kMost = Weights<K>::kHeld&& S == 1 ? 7 : 4;

  template <int K, int S>
  static void square(const DwLine& line, const IgemmTile& t) {
    const ConvTileF32<V> tile(t);
    const ActivationVectors<V> act(tile.activation);
    const Vec bias = V::load(tile.bias);
    const Weights<K> weights(reinterpret_cast<const float*>(t.w));
    each_dw_tile<K, S, kMost<K, S>>(line, [&]<int T, bool kEdge>(int64_t m) {
      Vec acc[T];
#pragma GCC unroll 7
      for (int o = 0; o < T; ++o) acc[o] = bias;
      accumulate<K, S, T, kEdge>(line, m, weights, acc);
#pragma GCC unroll 7
      for (int o = 0; o < T; ++o) {
        if (tile.residual != nullptr)
          acc[o] =
              V::add(acc[o], V::load(tile.residual + (m + o) * line.step * tile.residual_stride));
        float* y = tile.y + (m + o) * line.step * tile.y_stride;
        if (t.channels == V::kLanes)
          V::store(y, act(acc[o]));
        else
          V::store(y, act(acc[o]), t.channels);
      }
    });
  }

  template <int T>
  static void any(const DwTaps& taps, const IgemmTile& t) {
    Vec acc[T][1];
    Base::template start<T, 1>(t, acc);
    const float* w = reinterpret_cast<const float*>(t.w);
    for (int64_t ky = 0; ky < taps.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < taps.kernel_w; ++kx, w += V::kLanes) {
        const char* tap = t.a + ky * taps.tap_y + kx * taps.tap_x;
        const Vec weight = V::load(w);
#pragma GCC unroll 4
        for (int o = 0; o < T; ++o)
          acc[o][0] = V::fma(V::load(reinterpret_cast<const float*>(tap + o * t.a_pixel)), weight,
                             acc[o][0]);
      }
    }
    Base::template finish<T, 1>(t, acc);
  }

 private:
  /// Each column of a line is loaded once and serves every output whose window holds it.
  template <int K, int S, int T, bool kEdge>
  LAPIDARY_INLINE void accumulate(const DwLine& line, int64_t m, const Weights<K>& weights,
                                  Vec (&acc)[T]) {
    const int64_t ix = line.ix + m * S * line.step;
#pragma GCC unroll 5
    for (int ky = 0; ky < K; ++ky) {
#pragma GCC unroll 16
      for (int column = 0; column < (T - 1) * S + K; ++column) {
        const int64_t at = ix + column * line.step;
        const bool outside = kEdge && (at < 0 || at >= line.in_w);
        const Vec x =
            outside
                ? V::set(0.0f)
                : V::load(reinterpret_cast<const float*>(line.lines[ky] + at * line.pixel_bytes));
#pragma GCC unroll 7
        for (int o = 0; o < T; ++o) {
          const int kx = column - o * S;
          if (kx >= 0 && kx < K) acc[o] = V::fma(x, weights.at(ky * K + kx), acc[o]);
        }
      }
    }
  }
};

template <class V>
struct DwF32 {
  using Policy = DwPolicyF32<V>;

  static size_t packed_bytes(const ConvShape& s) { return packed_dw_f32_bytes(s, V::kLanes); }
  static size_t scratch_bytes(const ConvShape& s) { return dw_scratch_bytes(s, Policy::kTraits); }
  static int64_t blocks(const ConvShape&) { return 1; }
  static void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
    pack_dw_f32(s, w, V::kLanes, packed);
  }
  static void run(const ConvF32Args& p) {
    const int64_t bias_bytes = up_to(p.shape.out_c, V::kLanes) * V::kLanes * 4;
    const IgemmOperands operands = {.x = p.x,
                                    .weights = static_cast<const char*>(p.packed) + bias_bytes,
                                    .scratch = p.scratch,
                                    .args = &p};
    run_dw<Policy>(p.shape, p.range, operands, 0.0f);
  }
};

}  // namespace
}  // namespace lapidary::kernels
