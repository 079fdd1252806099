#pragma once

#include "kernels/simd.h"

// The transforms of F(m x m, 3 x 3) along one axis, at the points 0, 1, -1 (m = 2) and also 2, -2
// (m = 4), and infinity: y = A^T ((G w) * (B^T x)). V: add, sub, set, and fma, which rounds once.
namespace lapidary::kernels {
namespace {

/// x becomes B^T x.
template <class V>
LAPIDARY_INLINE void transform_input(typename V::F (&x)[4]) {
  const auto x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];
  x[0] = V::sub(x0, x2);
  x[1] = V::add(x1, x2);
  x[2] = V::sub(x2, x1);
  x[3] = V::sub(x1, x3);
}

template <class V>
LAPIDARY_INLINE void transform_input(typename V::F (&x)[6]) {
  const auto two = V::set(2.0f), minus_two = V::set(-2.0f);
  const auto four = V::set(4.0f), minus_four = V::set(-4.0f), minus_five = V::set(-5.0f);
  const auto x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5];
  const auto even1 = V::fma(minus_four, x2, x4), odd1 = V::fma(minus_four, x1, x3);
  const auto even2 = V::sub(x4, x2), odd2 = V::sub(x3, x1);
  x[0] = V::fma(four, x0, V::fma(minus_five, x2, x4));
  x[1] = V::add(even1, odd1);
  x[2] = V::sub(even1, odd1);
  x[3] = V::fma(two, odd2, even2);
  x[4] = V::fma(minus_two, odd2, even2);
  x[5] = V::fma(four, x1, V::fma(minus_five, x3, x5));
}

/// y = A^T z.
template <class V>
LAPIDARY_INLINE void transform_output(const typename V::F (&z)[4], typename V::F (&y)[2]) {
  y[0] = V::add(V::add(z[0], z[1]), z[2]);
  y[1] = V::sub(V::sub(z[1], z[2]), z[3]);
}

template <class V>
LAPIDARY_INLINE void transform_output(const typename V::F (&z)[6], typename V::F (&y)[4]) {
  const auto sum1 = V::add(z[1], z[2]), difference1 = V::sub(z[1], z[2]);
  const auto sum2 = V::add(z[3], z[4]), difference2 = V::sub(z[3], z[4]);
  y[0] = V::add(V::add(z[0], sum1), sum2);
  y[1] = V::fma(V::set(2.0f), difference2, difference1);
  y[2] = V::fma(V::set(4.0f), sum2, sum1);
  y[3] = V::add(V::fma(V::set(8.0f), difference2, difference1), z[5]);
}

/// The tiles of a convolution, counted over all images: [n][ty][tx], m x m outputs each.
template <int M>
struct WinogradTiles {
  int64_t across, down;  ///< of an image
  explicit WinogradTiles(const ConvShape& s)
      : across((s.out_w + M - 1) / M), down((s.out_h + M - 1) / M) {}
  int64_t count(const ConvShape& s) const { return s.batch * down * across; }
  /// The first tile that reaches work row `row`.
  int64_t first_of(const ConvShape& s, int64_t row) const {
    return (row / s.out_h * down + row % s.out_h / M) * across;
  }
};
/// Where a tile is: outputs from (oy, ox) of image n on, which read inputs from (iy, ix) on.
template <int M>
struct WinogradTile {
  int64_t n, oy, ox, iy, ix;
  WinogradTile(const ConvShape& s, const WinogradTiles<M>& tiles, int64_t tile)
      : n(tile / tiles.across / tiles.down),
        oy(tile / tiles.across % tiles.down * M),
        ox(tile % tiles.across * M),
        iy(oy - s.pad_top),
        ix(ox - s.pad_left) {}
};

}  // namespace
}  // namespace lapidary::kernels
