#include "kernels/bench/bench.h"
#include "kernels/batch_norm_f32/batch_norm_f32.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kRows = 8 * 32 * 32, kCols = 16;  // 8 images of ResNet-20's first stage
constexpr int64_t kCount = kRows * kCols;
const BatchNormThen kRelu = {
    .kind = BatchNormThen::Kind::kClamp, .hi = 1e30f, .least = 1e-30f, .most = 1e30f};
const BatchNormThen kFake = {
    .kind = BatchNormThen::Kind::kFakeQuantize, .scale = 0.01f, .sum = FakeQuantSum::kScale};

BenchCase moments_case() {
  const auto prepare = [](int) {
    const BenchArray<float> x(kCount), mean(kCols), squares(kCols);
    return each_row(batch_norm_f32_kernels(), [=](const BatchNormF32Kernel& kernel, int) {
      kernel.call->moments({.rows = kRows,
                            .cols = kCols,
                            .x = x.data(),
                            .mean = mean.data(),
                            .squares = squares.data()});
    });
  };
  return {
      .shape = "moments 8x32x32x16", .bytes = 4 * kCount, .one_thread = true, .prepare = prepare};
}

BenchCase forward_case(const char* name, const BatchNormThen& then) {
  const auto prepare = [=](int) {
    const BenchArray<float> x(kCount), y(kCount), factor(kCols), offset(kCols);
    return each_row(batch_norm_f32_kernels(), [=](const BatchNormF32Kernel& kernel, int) {
      kernel.call->forward({.rows = kRows,
                            .cols = kCols,
                            .x = x.data(),
                            .factor = factor.data(),
                            .offset = offset.data(),
                            .y = y.data(),
                            .then = then});
    });
  };
  return {.shape = name, .bytes = 8 * kCount, .one_thread = true, .prepare = prepare};
}

BenchCase sums_case(const char* name, const BatchNormThen& then) {
  const auto prepare = [=](int) {
    const BenchArray<float> g(kCount), x(kCount), v(kCols), sums(4 * kCols);
    return each_row(batch_norm_f32_kernels(), [=](const BatchNormF32Kernel& kernel, int) {
      kernel.call->sums({.rows = kRows,
                         .cols = kCols,
                         .g = g.data(),
                         .x = x.data(),
                         .factor = v.data(),
                         .offset = v.data(),
                         .mean = v.data(),
                         .e = sums.data(),
                         .ex = sums.data() + kCols,
                         .s = sums.data() + 2 * kCols,
                         .z = sums.data() + 3 * kCols,
                         .then = then});
    });
  };
  return {.shape = name, .bytes = 8 * kCount, .one_thread = true, .prepare = prepare};
}

BenchCase backward_case(const char* name, const BatchNormThen& then) {
  const auto prepare = [=](int) {
    const BenchArray<float> g(kCount), x(kCount), dx(kCount), v(kCols);
    return each_row(batch_norm_f32_kernels(), [=](const BatchNormF32Kernel& kernel, int) {
      kernel.call->backward({.rows = kRows,
                             .cols = kCols,
                             .g = g.data(),
                             .x = x.data(),
                             .factor = v.data(),
                             .offset = v.data(),
                             .mean = v.data(),
                             .slope = v.data(),
                             .shift = v.data(),
                             .dx = dx.data(),
                             .then = then});
    });
  };
  return {.shape = name, .bytes = 12 * kCount, .one_thread = true, .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> batch_norm_f32_bench() {
  return {moments_case(),
          forward_case("batch norm + relu 8x32x32x16", kRelu),
          forward_case("batch norm + fake quant 8x32x32x16", kFake),
          sums_case("sums of batch norm + relu 8x32x32x16", kRelu),
          sums_case("sums of batch norm + fake quant 8x32x32x16", kFake),
          backward_case("backward batch norm + relu 8x32x32x16", kRelu),
          backward_case("backward batch norm + fake quant 8x32x32x16", kFake)};
}

}  // namespace lapidary::kernels
