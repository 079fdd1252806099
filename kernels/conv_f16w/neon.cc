#if defined(__aarch64__)
#include "kernels/conv_f16w/generic.h"

namespace lapidary::kernels {
namespace {

struct Policy : PolicyF16w<Neon> {
  static constexpr int64_t kWeightBytes = 8;

  LAPIDARY_INLINE Vec load_weights(const char* p) {
    const uint16x4_t halves = vld1_u16(reinterpret_cast<const uint16_t*>(p));
    return vcvt_f32_f16(vreinterpret_f16_u16(halves));
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void multiply_tile(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    multiply_segments<Policy, MR, NV>(t, acc);
  }
};
using Rows = ConvF16w<Policy>;

}  // namespace

extern const ConvF32Functions conv_f16w_neon;
const ConvF32Functions conv_f16w_neon = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                         Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
