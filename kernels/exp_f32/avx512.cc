#if defined(__x86_64__)
#include "kernels/exp_f32/generic.h"

namespace lapidary::kernels {

using Rows = ExpF32<Avx512>;
extern const ExpF32Functions exp_f32_avx512;
const ExpF32Functions exp_f32_avx512 = {Rows::exp, Rows::sigmoid, Rows::silu,
                                        Rows::erf, Rows::gelu,    Rows::tanh_gelu};

}  // namespace lapidary::kernels
#endif
