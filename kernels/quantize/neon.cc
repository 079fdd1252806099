#if defined(__aarch64__)
#include "kernels/quantize/generic.h"

namespace lapidary::kernels {

using Rows = Quantize<Neon>;
extern const QuantizeFunctions quantize_neon;
const QuantizeFunctions quantize_neon = {Rows::quantize, Rows::dequantize, Rows::requantize};

}  // namespace lapidary::kernels
#endif
