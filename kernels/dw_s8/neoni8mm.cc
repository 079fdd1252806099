#if defined(__aarch64__)
#include "kernels/dw_s8/neon_lines.h"

namespace lapidary::kernels {
namespace {

/// USDOT, which comes with i8mm, takes the inputs as they are.
struct Dot4 : FourLines {
  LAPIDARY_INLINE int32x4_t dot(int32x4_t acc, int32x4_t x, int32x4_t w) {
    return vusdotq_s32(acc, vreinterpretq_u8_s32(x), vreinterpretq_s8_s32(w));
  }
};
using Rows = DwS8<Neon, Dot4>;

}  // namespace

extern const ConvS8Functions dw_s8_neoni8mm;
const ConvS8Functions dw_s8_neoni8mm = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                        Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
