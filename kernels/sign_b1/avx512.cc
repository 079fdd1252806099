#if defined(__x86_64__)
#include "kernels/sign_b1/generic.h"

namespace lapidary::kernels {

extern const SignB1Functions sign_b1_avx512;
const SignB1Functions sign_b1_avx512 = {SignB1<Avx512>::run};

}  // namespace lapidary::kernels
#endif
