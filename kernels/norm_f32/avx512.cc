#if defined(__x86_64__)
#include "kernels/norm_f32/generic.h"

namespace lapidary::kernels {

extern const NormF32Functions norm_f32_avx512;
const NormF32Functions norm_f32_avx512 = {NormF32<Avx512>::normalize};

}  // namespace lapidary::kernels
#endif
