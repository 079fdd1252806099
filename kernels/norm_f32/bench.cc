#include "kernels/bench/bench.h"
#include "kernels/norm_f32/norm_f32.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kRows = 197, kCols = 768;

BenchCase bench_case(bool centred) {
  const auto prepare = [=](int) {
    const BenchArray<float> x(kRows * kCols), y(kRows * kCols), scale(kCols), bias(kCols);
    return each_row(norm_f32_kernels(), [=](const NormF32Kernel& kernel, int threads) {
      split_rows(kRows, threads, [&](int64_t begin, int64_t end) {
        NormF32Args args;
        args.rows = end - begin;
        args.cols = kCols;
        args.x = x.data() + begin * kCols;
        args.y = y.data() + begin * kCols;
        args.centred = centred;
        args.epsilon = 1e-5f;
        args.scale = scale.data();
        args.bias = centred ? bias.data() : nullptr;
        kernel.call->normalize(args);
      });
    });
  };
  return {.shape = std::string(centred ? "layer norm" : "rms norm") + " 197x768 f32",
          .bytes = 8 * kRows * kCols,
          .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> norm_f32_bench() { return {bench_case(true), bench_case(false)}; }

}  // namespace lapidary::kernels
