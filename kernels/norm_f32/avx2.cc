#if defined(__x86_64__)
#include "kernels/norm_f32/generic.h"

namespace lapidary::kernels {

extern const NormF32Functions norm_f32_avx2;
const NormF32Functions norm_f32_avx2 = {NormF32<Avx2>::normalize};

}  // namespace lapidary::kernels
#endif
