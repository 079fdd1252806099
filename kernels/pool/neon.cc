#if defined(__aarch64__)
#include "kernels/pool/generic.h"

namespace lapidary::kernels {

using Rows = Pool<Neon>;
extern const PoolFunctions pool_neon;
const PoolFunctions pool_neon = {Rows::max_u8, Rows::average_u8, Rows::max_f32, Rows::average_f32};

}  // namespace lapidary::kernels
#endif
