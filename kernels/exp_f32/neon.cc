#if defined(__aarch64__)
#include "kernels/exp_f32/generic.h"

namespace lapidary::kernels {

using Rows = ExpF32<Neon>;
extern const ExpF32Functions exp_f32_neon;
const ExpF32Functions exp_f32_neon = {Rows::exp, Rows::sigmoid, Rows::silu,
                                      Rows::erf, Rows::gelu,    Rows::tanh_gelu};

}  // namespace lapidary::kernels
#endif
