#if defined(__x86_64__)
#include "kernels/eltwise_s8/generic.h"

namespace lapidary::kernels {

using Rows = EltwiseS8<Avx512>;
extern const EltwiseS8Functions eltwise_s8_avx512vnni;
const EltwiseS8Functions eltwise_s8_avx512vnni = {Rows::add, Rows::mul, Rows::lut};

}  // namespace lapidary::kernels
#endif
