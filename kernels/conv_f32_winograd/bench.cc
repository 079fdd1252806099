#include "kernels/bench/conv.h"
#include "kernels/conv_f32_winograd/conv_f32_winograd.h"

namespace lapidary::kernels {

namespace {

std::vector<ConvShape> taken_shapes() {
  std::vector<ConvShape> shapes = bench_conv_shapes(/*depthwise_only=*/false);
  std::erase_if(shapes, [](const ConvShape& s) { return !takes_winograd(s); });
  return shapes;
}

}  // namespace

std::vector<BenchCase> conv_f32_winograd2_bench() {
  return conv_f32_cases(conv_f32_winograd2_kernels(), taken_shapes());
}
std::vector<BenchCase> conv_f32_winograd4_bench() {
  return conv_f32_cases(conv_f32_winograd4_kernels(), taken_shapes());
}

}  // namespace lapidary::kernels
