#if defined(__x86_64__)
#include "kernels/stats_f32/generic.h"

namespace lapidary::kernels {

using Rows = StatsF32<Avx2>;
extern const StatsF32Functions stats_f32_avx2;
const StatsF32Functions stats_f32_avx2 = {Rows::scan, Rows::sum, Rows::bin};

}  // namespace lapidary::kernels
#endif
