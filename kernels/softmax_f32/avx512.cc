#if defined(__x86_64__)
#include "kernels/softmax_f32/generic.h"

namespace lapidary::kernels {

extern const SoftmaxF32Functions softmax_f32_avx512;
const SoftmaxF32Functions softmax_f32_avx512 = {SoftmaxF32<Avx512>::softmax};

}  // namespace lapidary::kernels
#endif
