#if defined(__x86_64__)
#include "kernels/fake_quant_f32/generic.h"

namespace lapidary::kernels {

using Rows = FakeQuantF32<Avx512>;
extern const FakeQuantF32Functions fake_quant_f32_avx512;
const FakeQuantF32Functions fake_quant_f32_avx512 = {Rows::forward, Rows::backward,
                                                     Rows::columns_forward, Rows::columns_backward};

}  // namespace lapidary::kernels
#endif
