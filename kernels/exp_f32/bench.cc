#include "kernels/bench/bench.h"
#include "kernels/exp_f32/exp_f32.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kRows = 197, kCols = 768, kCount = kRows * kCols;

BenchCase bench_case(const char* name, void (*ExpF32Functions::*function)(const ExpF32Args&)) {
  const auto prepare = [=](int) {
    const BenchArray<float> x(kCount), y(kCount);
    return each_row(exp_f32_kernels(), [=](const ExpF32Kernel& kernel, int threads) {
      split_rows(kRows, threads, [&](int64_t begin, int64_t end) {
        ExpF32Args args;
        args.count = (end - begin) * kCols;
        args.x = x.data() + begin * kCols;
        args.y = y.data() + begin * kCols;
        (kernel.call->*function)(args);
      });
    });
  };
  return {.shape = std::string(name) + " 197x768 f32", .bytes = 8 * kCount, .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> exp_f32_bench() {
  return {bench_case("exp", &ExpF32Functions::exp),
          bench_case("sigmoid", &ExpF32Functions::sigmoid),
          bench_case("silu", &ExpF32Functions::silu),
          bench_case("erf", &ExpF32Functions::erf),
          bench_case("gelu", &ExpF32Functions::gelu),
          bench_case("tanh gelu", &ExpF32Functions::tanh_gelu)};
}

}  // namespace lapidary::kernels
