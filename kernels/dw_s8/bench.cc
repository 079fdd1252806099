#include "kernels/bench/conv.h"
#include "kernels/dw_s8/dw_s8.h"
namespace lapidary::kernels {

std::vector<BenchCase> dw_s8_bench() {
  return conv_s8_cases(dw_s8_kernels(), bench_conv_shapes(/*depthwise_only=*/true));
}

}  // namespace lapidary::kernels
