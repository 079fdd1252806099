#if defined(__aarch64__)
#include "kernels/conv_t2/generic.h"

namespace lapidary::kernels {

extern const ConvS8Functions conv_s8_neondot;

using Rows = ConvT2<BytesT2<conv_s8_neondot>>;
extern const ConvT2Functions conv_t2_neondot;
const ConvT2Functions conv_t2_neondot = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                         Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
