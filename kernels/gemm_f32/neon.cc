#if defined(__aarch64__)
#include "kernels/gemm_f32/generic.h"

namespace lapidary::kernels {

using Rows = GemmF32<Neon>;
extern const GemmF32Functions gemm_f32_neon;
const GemmF32Functions gemm_f32_neon = {Rows::packed_bytes, Rows::blocks, Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
