#include "kernels/bench/bench.h"
#include "kernels/softmax_f32/softmax_f32.h"

namespace lapidary::kernels {

namespace {

/// Attention scores of 12 heads of 50 positions, and one classifier's row.
BenchCase bench_case(int64_t rows, int64_t cols) {
  const auto prepare = [=](int) {
    const BenchArray<float> x(rows * cols), y(rows * cols);
    return each_row(softmax_f32_kernels(), [=](const SoftmaxF32Kernel& kernel, int threads) {
      split_rows(rows, threads, [&](int64_t begin, int64_t end) {
        SoftmaxF32Args args;
        args.rows = end - begin;
        args.cols = cols;
        args.x = x.data() + begin * cols;
        args.y = y.data() + begin * cols;
        kernel.call->softmax(args);
      });
    });
  };
  return {.shape = "softmax " + std::to_string(rows) + "x" + std::to_string(cols) + " f32",
          .bytes = 8 * rows * cols,
          .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> softmax_f32_bench() { return {bench_case(600, 50), bench_case(16, 1000)}; }

}  // namespace lapidary::kernels
