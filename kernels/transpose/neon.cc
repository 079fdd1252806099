#if defined(__aarch64__)
#include "kernels/transpose/generic.h"

namespace lapidary::kernels {

extern const TransposeFunctions transpose_neon;
const TransposeFunctions transpose_neon = {transpose_bytes1, transpose_bytes4};

}  // namespace lapidary::kernels
#endif
