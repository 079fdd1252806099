#include "kernels/bench/bench.h"
#include "kernels/gemm_f32/gemm_f32.h"

namespace lapidary::kernels {

namespace {

std::string text(const GemmF32Shape& s) {
  return "gemm " + std::to_string(s.m) + "x" + std::to_string(s.k) + "x" + std::to_string(s.n) +
         " f32";
}

BenchCase bench_case(const GemmF32Shape& s) {
  const auto prepare = [=](int) {
    const BenchArray<float> a(s.m * s.k), b(s.k * s.n), bias(s.n), y(s.m * s.n);
    std::vector<BenchRun> runs;
    for (const GemmF32Kernel& kernel : gemm_f32_kernels()) {
      if (!cpu_has(kernel.row.isa)) continue;
      const BenchArray<char> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
      kernel.call->pack(s, {.data = b.data()}, packed.data());
      runs.push_back({kernel.row, [=, &kernel](int threads) {
                        GemmF32Args args;
                        args.shape = s;
                        args.a = a.data();
                        args.packed_b = packed.data();
                        args.y = y.data();
                        args.bias = bias.data();
                        run_gemm_f32(kernel, args, threads);
                      }});
    }
    return runs;
  };
  return {.shape = text(s),
          .macs = s.m * s.k * s.n,
          .bytes = 4 * (s.m * s.k + s.k * s.n + s.m * s.n),
          .limit = BenchLimit::kF32,
          .prepare = prepare};
}

}  // namespace

/// Projections of two ViTs, attention, a classifier.
std::vector<BenchCase> gemm_f32_bench() {
  return {bench_case({.m = 197, .n = 768, .k = 768}), bench_case({.m = 50, .n = 256, .k = 64}),
          bench_case({.m = 197, .n = 197, .k = 64}), bench_case({.m = 1, .n = 1000, .k = 2048})};
}

}  // namespace lapidary::kernels
