#if defined(__x86_64__)
#include "kernels/stats_f32/generic.h"

namespace lapidary::kernels {

using Rows = StatsF32<Avx512>;
extern const StatsF32Functions stats_f32_avx512;
const StatsF32Functions stats_f32_avx512 = {Rows::scan, Rows::sum, Rows::bin};

}  // namespace lapidary::kernels
#endif
