#if defined(__x86_64__)
#include "kernels/softmax_f32/generic.h"

namespace lapidary::kernels {

extern const SoftmaxF32Functions softmax_f32_avx2;
const SoftmaxF32Functions softmax_f32_avx2 = {SoftmaxF32<Avx2>::softmax};

}  // namespace lapidary::kernels
#endif
