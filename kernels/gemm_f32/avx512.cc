#if defined(__x86_64__)
#include "kernels/gemm_f32/generic.h"

namespace lapidary::kernels {

using Rows = GemmF32<Avx512>;
extern const GemmF32Functions gemm_f32_avx512;
const GemmF32Functions gemm_f32_avx512 = {Rows::packed_bytes, Rows::blocks, Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
