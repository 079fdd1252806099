#if defined(__aarch64__)
#include "kernels/stats_f32/generic.h"

namespace lapidary::kernels {

using Rows = StatsF32<Neon>;
extern const StatsF32Functions stats_f32_neon;
const StatsF32Functions stats_f32_neon = {Rows::scan, Rows::sum, Rows::bin};

}  // namespace lapidary::kernels
#endif
