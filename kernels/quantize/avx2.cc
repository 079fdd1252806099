#if defined(__x86_64__)
#include "kernels/quantize/generic.h"

namespace lapidary::kernels {

using Rows = Quantize<Avx2>;
extern const QuantizeFunctions quantize_avx2;
const QuantizeFunctions quantize_avx2 = {Rows::quantize, Rows::dequantize, Rows::requantize};

}  // namespace lapidary::kernels
#endif
