#if defined(__x86_64__)
#include "kernels/eltwise_f32/generic.h"

namespace lapidary::kernels {

using Rows = EltwiseF32<Avx2>;
extern const EltwiseF32Functions eltwise_f32_avx2;
const EltwiseF32Functions eltwise_f32_avx2 = {Rows::binary, Rows::unary, Rows::hard_sigmoid,
                                              Rows::affine};

}  // namespace lapidary::kernels
#endif
