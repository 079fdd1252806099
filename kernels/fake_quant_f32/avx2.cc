#if defined(__x86_64__)
#include "kernels/fake_quant_f32/generic.h"

namespace lapidary::kernels {

using Rows = FakeQuantF32<Avx2>;
extern const FakeQuantF32Functions fake_quant_f32_avx2;
const FakeQuantF32Functions fake_quant_f32_avx2 = {Rows::forward, Rows::backward,
                                                   Rows::columns_forward, Rows::columns_backward};

}  // namespace lapidary::kernels
#endif
