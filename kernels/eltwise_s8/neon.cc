#if defined(__aarch64__)
#include "kernels/eltwise_s8/generic.h"

namespace lapidary::kernels {

using Rows = EltwiseS8<Neon>;
extern const EltwiseS8Functions eltwise_s8_neon;
const EltwiseS8Functions eltwise_s8_neon = {Rows::add, Rows::mul, Rows::lut};

}  // namespace lapidary::kernels
#endif
