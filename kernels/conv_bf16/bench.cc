#include "kernels/bench/conv.h"
#include "kernels/conv_bf16/conv_bf16.h"

namespace lapidary::kernels {

std::vector<BenchCase> conv_bf16_bench() {
  const auto takes = [](const ConvF32Kernel&, const ConvShape& s) {
    return select_conv_bf16(s).kernel != nullptr;
  };
  return conv_f32_cases(conv_bf16_kernels(), bench_conv_shapes(/*depthwise_only=*/false), takes,
                        BenchLimit::kBf16);
}

}  // namespace lapidary::kernels
