#if defined(__aarch64__)
#include "kernels/sign_b1/generic.h"

namespace lapidary::kernels {

extern const SignB1Functions sign_b1_neon;
const SignB1Functions sign_b1_neon = {SignB1<Neon>::run};

}  // namespace lapidary::kernels
#endif
