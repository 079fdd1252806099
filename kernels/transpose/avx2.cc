#if defined(__x86_64__)
#include "kernels/transpose/generic.h"

namespace lapidary::kernels {

extern const TransposeFunctions transpose_avx2;
const TransposeFunctions transpose_avx2 = {transpose_bytes1, transpose_bytes4};

}  // namespace lapidary::kernels
#endif
