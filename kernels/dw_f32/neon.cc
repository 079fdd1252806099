#if defined(__aarch64__)
#include "kernels/dw_f32/generic.h"

namespace lapidary::kernels {

using Rows = DwF32<Neon>;
extern const ConvF32Functions dw_f32_neon;
const ConvF32Functions dw_f32_neon = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                      Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
