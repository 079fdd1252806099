#if defined(__aarch64__)
#include "kernels/conv_f32/generic.h"

namespace lapidary::kernels {

using Rows = ConvF32<PolicyF32<Neon, ConvTileF32<Neon>>>;
extern const ConvF32Functions conv_f32_neon;
const ConvF32Functions conv_f32_neon = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                        Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
