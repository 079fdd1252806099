#pragma once

#include "kernels/igemm/run.h"

// Tiles of instruction sets that multiply by one lane of a register: the inputs of several units
// are loaded together, and each is picked by its index. A policy then also gives
//   Units, kUnits                  a pixel's inputs of kUnits units, in a register
//   load_units(p), load_unit(p)    kUnits of them, or one (the first)
//   load_weights(p), kWeightBytes  a vector's weights of one unit, as `multiply` wants them; where
//                                  they lie
//   multiply<U>(acc, x, w)         acc + the products of unit U of x
namespace lapidary::kernels {
namespace {

template <class P, int U, int MR, int NV>
LAPIDARY_INLINE void multiply_unit(const typename P::Units (&x)[MR], const char* w,
                                   typename P::Vec (&acc)[MR][NV]) {
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    const auto weights = P::load_weights(w + v * P::kWeightBytes);
#pragma GCC unroll 8
    for (int m = 0; m < MR; ++m) acc[m][v] = P::template multiply<U>(acc[m][v], x[m], weights);
  }
}

template <class P, int U, int MR, int NV>
LAPIDARY_INLINE void multiply_units(const typename P::Units (&x)[MR], const char* w, int64_t w_step,
                                    typename P::Vec (&acc)[MR][NV]) {
  multiply_unit<P, U, MR, NV>(x, w, acc);
  if constexpr (U + 1 < P::kUnits) multiply_units<P, U + 1, MR, NV>(x, w + w_step, w_step, acc);
}

/// acc += all products of the tile.
template <class P, int MR, int NV>
LAPIDARY_INLINE void multiply_segments(const IgemmTile& t, typename P::Vec (&acc)[MR][NV]) {
  const char* w = t.w;
  for (int64_t sy = 0; sy < t.segments_y; ++sy) {
    for (int64_t sx = 0; sx < t.segments_x; ++sx) {
      const char* a = t.a + sy * t.segment_y + sx * t.segment_x;
      typename P::Units x[MR];
      int64_t u = 0;
      for (; u + P::kUnits <= t.units; u += P::kUnits, a += P::kUnits * 4) {
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m) x[m] = P::load_units(a + m * t.a_pixel);
        multiply_units<P, 0, MR, NV>(x, w, t.w_step, acc);
        w += P::kUnits * t.w_step;
      }
      for (; u < t.units; ++u, a += 4, w += t.w_step) {
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m) x[m] = P::load_unit(a + m * t.a_pixel);
        multiply_unit<P, 0, MR, NV>(x, w, acc);
      }
    }
  }
}

}  // namespace
}  // namespace lapidary::kernels
