#if defined(__x86_64__)
#include "kernels/quantize/generic.h"

namespace lapidary::kernels {

using Rows = Quantize<Avx512>;
extern const QuantizeFunctions quantize_avx512;
const QuantizeFunctions quantize_avx512 = {Rows::quantize, Rows::dequantize, Rows::requantize};

}  // namespace lapidary::kernels
#endif
