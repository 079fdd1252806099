#if defined(__aarch64__)
#include "kernels/conv_t2/generic.h"

namespace lapidary::kernels {

extern const ConvS8Functions conv_s8_neoni8mm;

using Rows = ConvT2<BytesT2<conv_s8_neoni8mm>>;
extern const ConvT2Functions conv_t2_neoni8mm;
const ConvT2Functions conv_t2_neoni8mm = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                          Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
