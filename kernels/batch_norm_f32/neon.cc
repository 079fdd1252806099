#if defined(__aarch64__)
#include "kernels/batch_norm_f32/generic.h"

namespace lapidary::kernels {

using Rows = BatchNormF32<Neon>;
extern const BatchNormF32Functions batch_norm_f32_neon;
const BatchNormF32Functions batch_norm_f32_neon = {Rows::moments, Rows::forward, Rows::sums,
                                                   Rows::backward};

}  // namespace lapidary::kernels
#endif
