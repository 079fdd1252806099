#include "kernels/bench/bench.h"

namespace lapidary::kernels {

std::vector<BenchFamily> bench_families() {
  return {
#define LAPIDARY_FAMILY(name) {#name, name##_bench},
#include "kernels/families.def"
#undef LAPIDARY_FAMILY
  };
}

}  // namespace lapidary::kernels
