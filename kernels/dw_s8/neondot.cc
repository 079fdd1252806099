#if defined(__aarch64__)
#include "kernels/dw_s8/neon_lines.h"

namespace lapidary::kernels {
namespace {

/// SDOT multiplies s8 by s8: x - 128, and 128 * sum(w) is part of the bias.
struct Dot4 : FourLines {
  LAPIDARY_INLINE int32x4_t dot(int32x4_t acc, int32x4_t x, int32x4_t w) {
    const int8x16_t inputs = vreinterpretq_s8_s32(veorq_s32(x, every(0x80)));
    return vdotq_s32(acc, inputs, vreinterpretq_s8_s32(w));
  }
};
using Rows = DwS8<Neon, Dot4>;

void pack(const ConvShape& s, const ConvS8Weights& w, void* packed) {
  Rows::pack(s, w, packed);
  shift_inputs(s, 128, packed);
}

}  // namespace

extern const ConvS8Functions dw_s8_neondot;
const ConvS8Functions dw_s8_neondot = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks, pack,
                                       Rows::run};

}  // namespace lapidary::kernels
#endif
