#if defined(__aarch64__)
#include "kernels/norm_f32/generic.h"

namespace lapidary::kernels {

extern const NormF32Functions norm_f32_neon;
const NormF32Functions norm_f32_neon = {NormF32<Neon>::normalize};

}  // namespace lapidary::kernels
#endif
