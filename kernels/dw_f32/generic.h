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

  template <int K, int S, int T>
  static void tile(const DwTaps& taps, const IgemmTile& t) {
    Vec acc[T][1];
    Base::template start<T, 1>(t, acc);
    if constexpr (K > 0)
      square<K, S, T>(taps, t, acc);
    else
      any<T>(taps, t, acc);
    Base::template finish<T, 1>(t, acc);
  }

 private:
  /// Each column of a line is loaded once and serves every output whose window holds it.
  template <int K, int S, int T>
  LAPIDARY_INLINE void square(const DwTaps& taps, const IgemmTile& t, Vec (&acc)[T][1]) {
    const float* w = reinterpret_cast<const float*>(t.w);
    const char* line = t.a;
    for (int ky = 0; ky < K; ++ky, line += taps.tap_y, w += K * V::kLanes) {
#pragma GCC unroll 16
      for (int column = 0; column < (T - 1) * S + K; ++column) {
        const Vec x = V::load(reinterpret_cast<const float*>(line + column * taps.tap_x));
#pragma GCC unroll 4
        for (int o = 0; o < T; ++o) {
          const int kx = column - o * S;
          if (kx >= 0 && kx < K) acc[o][0] = V::fma(x, V::load(w + kx * V::kLanes), acc[o][0]);
        }
      }
    }
  }

  template <int T>
  LAPIDARY_INLINE void any(const DwTaps& taps, const IgemmTile& t, Vec (&acc)[T][1]) {
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
  }
};

template <class V>
struct DwF32 {
  using Policy = DwPolicyF32<V>;

  static size_t packed_bytes(const ConvShape& s) { return packed_dw_f32_bytes(s, V::kLanes); }
  static size_t scratch_bytes(const ConvShape& s) {
    return igemm_scratch_bytes(s, Policy::kTraits);
  }
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
