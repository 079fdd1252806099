#include "kernels/bench/conv.h"
#include "kernels/conv_f16w/conv_f16w.h"

namespace lapidary::kernels {

std::vector<BenchCase> conv_f16w_bench() {
  return conv_f32_cases(conv_f16w_kernels(), bench_conv_shapes(/*depthwise_only=*/false));
}

}  // namespace lapidary::kernels
