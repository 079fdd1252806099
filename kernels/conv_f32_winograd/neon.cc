#if defined(__aarch64__)
#include "kernels/conv_f32_winograd/generic.h"

namespace lapidary::kernels {

using Two = ConvF32Winograd<Neon, 2>;
using Four = ConvF32Winograd<Neon, 4>;
extern const ConvF32Functions conv_f32_winograd2_neon, conv_f32_winograd4_neon;
const ConvF32Functions conv_f32_winograd2_neon = {
    Two::packed_bytes, Two::scratch_bytes, Two::blocks, Two::pack, Two::run, /*lines=*/2};
const ConvF32Functions conv_f32_winograd4_neon = {
    Four::packed_bytes, Four::scratch_bytes, Four::blocks, Four::pack, Four::run, /*lines=*/4};

}  // namespace lapidary::kernels
#endif
