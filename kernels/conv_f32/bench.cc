#include "kernels/bench/conv.h"

namespace lapidary::kernels {

std::vector<BenchCase> conv_f32_bench() {
  return conv_f32_cases(conv_f32_kernels(), bench_conv_shapes(/*depthwise_only=*/false));
}

}  // namespace lapidary::kernels
