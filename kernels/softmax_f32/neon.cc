#if defined(__aarch64__)
#include "kernels/softmax_f32/generic.h"

namespace lapidary::kernels {

extern const SoftmaxF32Functions softmax_f32_neon;
const SoftmaxF32Functions softmax_f32_neon = {SoftmaxF32<Neon>::softmax};

}  // namespace lapidary::kernels
#endif
