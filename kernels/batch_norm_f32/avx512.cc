#if defined(__x86_64__)
#include "kernels/batch_norm_f32/generic.h"

namespace lapidary::kernels {

using Rows = BatchNormF32<Avx512>;
extern const BatchNormF32Functions batch_norm_f32_avx512;
const BatchNormF32Functions batch_norm_f32_avx512 = {Rows::moments, Rows::forward, Rows::sums,
                                                     Rows::backward};

}  // namespace lapidary::kernels
#endif
