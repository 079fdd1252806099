#include "kernels/bench/conv.h"

namespace lapidary::kernels {

std::vector<BenchCase> conv_s8_bench() {
  return conv_s8_cases(conv_s8_kernels(), bench_conv_shapes(/*depthwise_only=*/false));
}

}  // namespace lapidary::kernels
