#if defined(__x86_64__)
#include "kernels/dw_f32/generic.h"

namespace lapidary::kernels {

using Rows = DwF32<Avx2>;
extern const ConvF32Functions dw_f32_avx2;
const ConvF32Functions dw_f32_avx2 = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                      Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
