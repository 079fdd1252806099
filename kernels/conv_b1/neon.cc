#if defined(__aarch64__)
#include "kernels/conv_b1/bytes.h"

namespace lapidary::kernels {
namespace {

struct Policy : PolicyB1<Neon> {
  template <int NV>
  static constexpr int kPart = 3;

  LAPIDARY_INLINE Vec add_counts(Vec bytes, Vec v) {
    return vreinterpretq_s32_u8(
        vaddq_u8(vreinterpretq_u8_s32(bytes), vcntq_u8(vreinterpretq_u8_s32(v))));
  }
  LAPIDARY_INLINE Vec add_widened(Vec acc, Vec bytes) {
    const uint16x8_t pairs = vpaddlq_u8(vreinterpretq_u8_s32(bytes));
    return vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(acc), pairs));
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void multiply_tile(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    count_parts<Policy, 0>(t, acc);
  }
};
using Rows = ConvB1<Policy>;

}  // namespace

extern const ConvB1Functions conv_b1_neon;
const ConvB1Functions conv_b1_neon = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                      Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
