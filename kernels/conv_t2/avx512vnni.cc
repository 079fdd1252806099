#if defined(__x86_64__)
#include "kernels/conv_t2/generic.h"

namespace lapidary::kernels {

extern const ConvS8Functions conv_s8_avx512vnni;

using Rows = ConvT2<BytesT2<conv_s8_avx512vnni>>;
extern const ConvT2Functions conv_t2_avx512vnni;
const ConvT2Functions conv_t2_avx512vnni = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                            Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
