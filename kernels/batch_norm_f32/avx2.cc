#if defined(__x86_64__)
#include "kernels/batch_norm_f32/generic.h"

namespace lapidary::kernels {

using Rows = BatchNormF32<Avx2>;
extern const BatchNormF32Functions batch_norm_f32_avx2;
const BatchNormF32Functions batch_norm_f32_avx2 = {Rows::moments, Rows::forward, Rows::sums,
                                                   Rows::backward};

}  // namespace lapidary::kernels
#endif
