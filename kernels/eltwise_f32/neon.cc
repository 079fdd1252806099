#if defined(__aarch64__)
#include "kernels/eltwise_f32/generic.h"

namespace lapidary::kernels {

using Rows = EltwiseF32<Neon>;
extern const EltwiseF32Functions eltwise_f32_neon;
const EltwiseF32Functions eltwise_f32_neon = {Rows::binary, Rows::unary, Rows::hard_sigmoid,
                                              Rows::affine};

}  // namespace lapidary::kernels
#endif
