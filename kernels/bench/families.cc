#include "kernels/bench/bench.h"

namespace lapidary::kernels {

std::vector<BenchFamily> bench_families() {
  return {
#define LAPIDARY_BENCH_FAMILY(name) {#name, name##_bench},
#include "kernels/bench/families.def"
#undef LAPIDARY_BENCH_FAMILY
  };
}

}  // namespace lapidary::kernels
