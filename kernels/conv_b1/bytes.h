#pragma once

#include "kernels/conv_b1/generic.h"

// Tiles of instruction sets that count bits by bytes. Beside what igemm/run.h asks for a policy P
// has
//   add_counts(bytes, v)       bytes + the set bits of each byte of v
//   add_widened(acc, bytes)    acc + the four bytes of each lane
//   kPart<NV>                  pixels counted at a time: their accumulators leave registers for
//                              what they are made from
namespace lapidary::kernels {
namespace {

/// Words whose counts a byte holds: 31 * 8 < 256.
constexpr int64_t kByteWords = 31;

/// acc += the counts of pixels M .. M + Pixels - 1 of the tile.
template <class P, int M, int Pixels, int MR, int NV>
LAPIDARY_INLINE void count_part(const IgemmTile& t, typename P::Vec (&acc)[MR][NV]) {
  typename P::Vec bytes[Pixels][NV];
  const auto clear = [&]() __attribute__((always_inline)) {
#pragma GCC unroll 14
    for (int m = 0; m < Pixels; ++m)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) bytes[m][v] = P::none();
  };
  const auto flush = [&]() __attribute__((always_inline)) {
#pragma GCC unroll 14
    for (int m = 0; m < Pixels; ++m)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[M + m][v] = P::add_widened(acc[M + m][v], bytes[m][v]);
  };
  static_assert(M + Pixels <= kHalfTile || M >= kHalfTile, "one base for all");
  const int64_t from_base = (M < kHalfTile ? M : M - kHalfTile) * t.a_pixel;
  const char* base = (M < kHalfTile ? t.a : t.a_high) + from_base;
  clear();
  int64_t room = kByteWords;
  const char* w = t.w;
  for (int64_t sy = 0; sy < t.segments_y; ++sy) {
    for (int64_t sx = 0; sx < t.segments_x; ++sx) {
      const char* a = base + sy * t.segment_y + sx * t.segment_x;
      for (int64_t left = t.units; left > 0;) {
        const int64_t now = at_most(left, room);
        for (int64_t u = 0; u < now; ++u, a += 4, w += t.w_step) {
          typename P::Vec weights[NV];
#pragma GCC unroll 4
          for (int v = 0; v < NV; ++v) weights[v] = P::load(w + v * P::kTraits.lanes * 4);
#pragma GCC unroll 14
          for (int m = 0; m < Pixels; ++m) {
            const auto x = P::broadcast(a + m * t.a_pixel);
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v)
              bytes[m][v] = P::add_counts(bytes[m][v], P::different(x, weights[v]));
          }
        }
        left -= now;
        room -= now;
        if (room > 0) continue;
        flush();
        clear();
        room = kByteWords;
      }
    }
  }
  flush();
}

template <class P, int M, int MR, int NV>
LAPIDARY_INLINE void count_parts(const IgemmTile& t, typename P::Vec (&acc)[MR][NV]) {
  if constexpr (M < MR) {
    constexpr int kPixels = MR - M < P::template kPart<NV> ? MR - M : P::template kPart<NV>;
    count_part<P, M, kPixels>(t, acc);
    count_parts<P, M + kPixels>(t, acc);
  }
}

}  // namespace
}  // namespace lapidary::kernels
