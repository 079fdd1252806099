#include "kernels/bench/bench.h"
#include "kernels/probe/probe.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kRounds = 10'000;
/// Within the second-level cache, beyond the first; beyond the third.
constexpr int64_t kCacheBytes = int64_t{256} << 10, kMemoryBytes = int64_t{96} << 20;

/// As many rounds of each row as make the same number of MACs.
BenchCase loop_case(const char* name, ProbeLoop ProbeFunctions::*loop, BenchLimit limit) {
  constexpr int64_t kMacs = kRounds * 1024;
  const auto prepare = [=](int) {
    const BenchArray<float> operands(32);
    std::vector<BenchRun> runs;
    for (const ProbeKernel& kernel : probe_kernels()) {
      const ProbeLoop& found = kernel.call->*loop;
      if (!cpu_has(kernel.row.isa) || found.run == nullptr) continue;
      runs.push_back({kernel.row, [=](int threads) {
                        split_rows(kMacs / found.macs, threads, [&](int64_t begin, int64_t end) {
                          found.run(operands.data(), operands.data(), end - begin);
                        });
                      }});
    }
    return runs;
  };
  return {.shape = name, .macs = kMacs, .limit = limit, .prepare = prepare};
}

BenchCase read_case(const char* name, int64_t bytes, BenchLimit limit) {
  const auto prepare = [=](int threads) {
    const int64_t each = bytes / 64 / threads * 64;
    const BenchArray<uint64_t> x(each * threads / 8);
    std::vector<BenchRun> runs;
    for (const ProbeKernel& kernel : probe_kernels()) {
      if (!cpu_has(kernel.row.isa) || kernel.call->read == nullptr) continue;
      runs.push_back({kernel.row, [=, &kernel](int count) {
                        split_rows(count, count, [&](int64_t begin, int64_t end) {
                          for (int64_t i = begin; i < end; ++i)
                            kernel.call->read(x.data() + i * each / 8, each);
                        });
                      }});
    }
    return runs;
  };
  return {.shape = name, .bytes = bytes, .limit = limit, .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> probe_bench() {
  return {loop_case("multiply-accumulate s8", &ProbeFunctions::int8, BenchLimit::kInt8),
          loop_case("multiply-accumulate f32", &ProbeFunctions::f32, BenchLimit::kF32),
          loop_case("multiply-accumulate bf16", &ProbeFunctions::bf16, BenchLimit::kBf16),
          read_case("read 256 KiB", kCacheBytes, BenchLimit::kCache),
          read_case("read 96 MiB", kMemoryBytes, BenchLimit::kMemory)};
}

}  // namespace lapidary::kernels
