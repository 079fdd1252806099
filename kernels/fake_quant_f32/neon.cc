#if defined(__aarch64__)
#include "kernels/fake_quant_f32/generic.h"

namespace lapidary::kernels {

using Rows = FakeQuantF32<Neon>;
extern const FakeQuantF32Functions fake_quant_f32_neon;
const FakeQuantF32Functions fake_quant_f32_neon = {Rows::forward, Rows::backward,
                                                   Rows::columns_forward, Rows::columns_backward};

}  // namespace lapidary::kernels
#endif
