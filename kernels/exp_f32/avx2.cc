#if defined(__x86_64__)
#include "kernels/exp_f32/generic.h"

namespace lapidary::kernels {

using Rows = ExpF32<Avx2>;
extern const ExpF32Functions exp_f32_avx2;
const ExpF32Functions exp_f32_avx2 = {Rows::exp, Rows::sigmoid, Rows::silu,
                                      Rows::erf, Rows::gelu,    Rows::tanh_gelu};

}  // namespace lapidary::kernels
#endif
