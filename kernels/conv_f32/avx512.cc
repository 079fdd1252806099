#if defined(__x86_64__)
#include "kernels/conv_f32/generic.h"

namespace lapidary::kernels {

using Rows = ConvF32<PolicyF32<Avx512, ConvTileF32<Avx512>>>;
extern const ConvF32Functions conv_f32_avx512;
const ConvF32Functions conv_f32_avx512 = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                          Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
