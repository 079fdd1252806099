#if defined(__aarch64__)
#include "kernels/conv_s8/generic.h"
#include "kernels/igemm/quads.h"

namespace lapidary::kernels {
namespace {

/// USMMLA: 2 pixels x 8 inputs (u8) by 8 inputs x 2 channels (s8), [p0 c0, p0 c1, p1 c0, p1 c1].
struct Policy : PolicyS8<Neon, BytesSource> {
  static constexpr IgemmTraits kTraits = {.lanes = 4, .registers = 32, .order = UnitOrder::kPairs};

  template <int MR, int NV>
  LAPIDARY_INLINE void multiply_tile(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    constexpr int kPairs = (MR + 1) / 2;  // of pixels: an odd last one is its own neighbour
    Vec sums[kPairs][NV][2];
#pragma GCC unroll 4
    for (int p = 0; p < kPairs; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        const Vec top = acc[2 * p][v], bottom = acc[second<MR>(p)][v];
        sums[p][v][0] = low_halves(top, bottom);
        sums[p][v][1] = high_halves(top, bottom);
      }
    }
    multiply_pairs<MR, NV>(t, sums);
#pragma GCC unroll 4
    for (int p = 0; p < kPairs; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) {
        acc[second<MR>(p)][v] = high_halves(sums[p][v][0], sums[p][v][1]);
        acc[2 * p][v] = low_halves(sums[p][v][0], sums[p][v][1]);
      }
    }
  }

 private:
  template <int MR>
  static constexpr int second(int pair) {
    return 2 * pair + 1 < MR ? 2 * pair + 1 : 2 * pair;
  }
  LAPIDARY_INLINE Vec low_halves(Vec a, Vec b) {
    return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
  }
  LAPIDARY_INLINE Vec high_halves(Vec a, Vec b) {
    return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
  }
  LAPIDARY_INLINE uint8x8_t load_eight(const char* p) {
    return vld1_u8(reinterpret_cast<const uint8_t*>(p));
  }

  template <int MR, int NV, int kPairs>
  LAPIDARY_INLINE void multiply_pairs(const IgemmTile& t, Vec (&sums)[kPairs][NV][2]) {
    const char* w = t.w;
    for (int64_t sy = 0; sy < t.segments_y; ++sy) {
      for (int64_t sx = 0; sx < t.segments_x; ++sx) {
        const char* a = t.a + sy * t.segment_y + sx * t.segment_x;
        for (int64_t u = 0; u < t.units; u += 2, a += 8, w += 2 * t.w_step) {
          uint8x16_t x[kPairs];
#pragma GCC unroll 4
          for (int p = 0; p < kPairs; ++p)
            x[p] = vcombine_u8(load_eight(a + 2 * p * t.a_pixel),
                               load_eight(a + second<MR>(p) * t.a_pixel));
#pragma GCC unroll 8
          for (int i = 0; i < 2 * NV; ++i) {
            const char* at = w + i % 2 * t.w_step + i / 2 * 16;
            const int8x16_t weights = vld1q_s8(reinterpret_cast<const int8_t*>(at));
#pragma GCC unroll 4
            for (int p = 0; p < kPairs; ++p)
              sums[p][i / 2][i % 2] = vusmmlaq_s32(sums[p][i / 2][i % 2], x[p], weights);
          }
        }
      }
    }
  }
};
using Rows = ConvS8<Policy>;

}  // namespace

extern const ConvS8Functions conv_s8_neoni8mm;
const ConvS8Functions conv_s8_neoni8mm = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                          Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
