#include "kernels/bench/conv.h"
#include "kernels/dw_f32/dw_f32.h"
namespace lapidary::kernels {

std::vector<BenchCase> dw_f32_bench() {
  return conv_f32_cases(dw_f32_kernels(), bench_conv_shapes(/*depthwise_only=*/true));
}

}  // namespace lapidary::kernels
