#pragma once

#include "kernels/dw_s8/generic.h"

namespace lapidary::kernels {
namespace {

/// Four lines at a time: byte 4c + r of the column is channel c of line r.
struct FourLines : DwColumns {
  static constexpr int kTaps = 4;

  template <int R>
  LAPIDARY_INLINE int32x4_t column(const char* const* lines, int64_t at) {
    uint8x8_t rows[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) rows[r] = r < R ? Neon::load_word(lines[r] + at) : vdup_n_u8(0);
    const uint16x4_t low = vreinterpret_u16_u8(vzip1_u8(rows[0], rows[1]));
    const uint16x4_t high = vreinterpret_u16_u8(vzip1_u8(rows[2], rows[3]));
    return vreinterpretq_s32_u16(vcombine_u16(vzip1_u16(low, high), vzip2_u16(low, high)));
  }
  LAPIDARY_INLINE int32x4_t every(int x) {
    return vreinterpretq_s32_u8(vdupq_n_u8(static_cast<uint8_t>(x)));
  }
  LAPIDARY_INLINE int32x4_t sum(int32x4_t acc, int32x4_t x) {
    const uint32x4_t sums =
        vdotq_u32(vreinterpretq_u32_s32(acc), vreinterpretq_u8_s32(x), vdupq_n_u8(1));
    return vreinterpretq_s32_u32(sums);
  }
};

}  // namespace
}  // namespace lapidary::kernels
