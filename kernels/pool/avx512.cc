#if defined(__x86_64__)
#include "kernels/pool/generic.h"

namespace lapidary::kernels {

using Rows = Pool<Avx512>;
extern const PoolFunctions pool_avx512;
const PoolFunctions pool_avx512 = {Rows::max_u8, Rows::average_u8, Rows::max_f32,
                                   Rows::average_f32};

}  // namespace lapidary::kernels
#endif
