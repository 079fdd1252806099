#if defined(__x86_64__)
#include "kernels/conv_t2/generic.h"

namespace lapidary::kernels {

extern const ConvS8Functions conv_s8_avx2;

using Rows = ConvT2<WordsT2<conv_s8_avx2>>;
extern const ConvT2Functions conv_t2_avx2;
const ConvT2Functions conv_t2_avx2 = {Rows::packed_bytes, Rows::scratch_bytes, Rows::blocks,
                                      Rows::pack, Rows::run};

}  // namespace lapidary::kernels
#endif
