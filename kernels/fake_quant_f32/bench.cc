#include "kernels/bench/bench.h"
#include "kernels/fake_quant_f32/fake_quant_f32.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kCount = 32 * 32 * 16 * 8;  // 8 images of ResNet-20's first stage
constexpr int64_t kBlocks = kCount / kFakeQuantBlock;

BenchCase forward_case() {
  const auto prepare = [](int) {
    const BenchArray<float> x(kCount), y(kCount);
    return each_row(fake_quant_f32_kernels(), [=](const FakeQuantF32Kernel& kernel, int) {
      kernel.call->forward({.count = kCount, .x = x.data(), .y = y.data(), .scale = 0.01f});
    });
  };
  return {.shape = "8x32x32x16 f32", .bytes = 8 * kCount, .one_thread = true, .prepare = prepare};
}

BenchCase backward_case(const char* name, FakeQuantSum sum) {
  const auto prepare = [=](int) {
    const BenchArray<float> g(kCount), x(kCount), dx(kCount), s(kBlocks), z(kBlocks);
    return each_row(fake_quant_f32_kernels(), [=](const FakeQuantF32Kernel& kernel, int) {
      kernel.call->backward({.count = kCount,
                             .g = g.data(),
                             .x = x.data(),
                             .dx = dx.data(),
                             .scale = 0.01f,
                             .sum = sum,
                             .s = s.data(),
                             .z = z.data()});
    });
  };
  return {.shape = name, .bytes = 12 * kCount, .one_thread = true, .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> fake_quant_f32_bench() {
  return {forward_case(), backward_case("backward 8x32x32x16", FakeQuantSum::kNone),
          backward_case("backward with scale 8x32x32x16", FakeQuantSum::kScale),
          backward_case("backward with scale and zero 8x32x32x16", FakeQuantSum::kScaleAndZero)};
}

}  // namespace lapidary::kernels
