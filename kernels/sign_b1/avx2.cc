#if defined(__x86_64__)
#include "kernels/sign_b1/generic.h"

namespace lapidary::kernels {

extern const SignB1Functions sign_b1_avx2;
const SignB1Functions sign_b1_avx2 = {SignB1<Avx2>::run};

}  // namespace lapidary::kernels
#endif
