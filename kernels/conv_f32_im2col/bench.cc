#include "kernels/bench/conv.h"
#include "kernels/conv_f32_im2col/conv_f32_im2col.h"

namespace lapidary::kernels {

std::vector<BenchCase> conv_f32_im2col_bench() {
  return conv_f32_cases(conv_f32_im2col_kernels(), bench_conv_shapes(/*depthwise_only=*/false));
}

}  // namespace lapidary::kernels
