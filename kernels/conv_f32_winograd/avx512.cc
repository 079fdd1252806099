#if defined(__x86_64__)
#include "kernels/conv_f32_winograd/generic.h"

namespace lapidary::kernels {

using Two = ConvF32Winograd<Avx512, 2>;
using Four = ConvF32Winograd<Avx512, 4>;
extern const ConvF32Functions conv_f32_winograd2_avx512, conv_f32_winograd4_avx512;
const ConvF32Functions conv_f32_winograd2_avx512 = {
    Two::packed_bytes, Two::scratch_bytes, Two::blocks, Two::pack, Two::run, /*lines=*/2};
const ConvF32Functions conv_f32_winograd4_avx512 = {
    Four::packed_bytes, Four::scratch_bytes, Four::blocks, Four::pack, Four::run, /*lines=*/4};

}  // namespace lapidary::kernels
#endif
