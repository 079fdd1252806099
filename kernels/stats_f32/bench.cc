#include "kernels/bench/bench.h"
#include "kernels/stats_f32/stats_f32.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kRows = 56 * 56, kColumns = 64, kCount = kRows * kColumns;
constexpr int64_t kBins = 2048;

BenchCase columns_case(const char* name,
                       void (*StatsF32Functions::*function)(const ColumnsF32Args&)) {
  const auto prepare = [=](int) {
    const BenchArray<float> x(kCount), sum(kColumns), low(kColumns), high(kColumns);
    return each_row(stats_f32_kernels(), [=](const StatsF32Kernel& kernel, int) {
      ColumnsF32Args args;
      args.rows = kRows;
      args.columns = args.stride = kColumns;
      args.x = x.data();
      args.sum = sum.data();
      args.low = low.data();
      args.high = high.data();
      (kernel.call->*function)(args);
    });
  };
  return {.shape = name, .bytes = 4 * kCount, .one_thread = true, .prepare = prepare};
}

std::vector<BenchRun> bin(int) {
  const BenchArray<float> x(kCount);  // in [-1, 1)
  const BenchArray<uint32_t> counts(kBinLanes * kBins);
  return each_row(stats_f32_kernels(), [=](const StatsF32Kernel& kernel, int) {
    BinsF32Args args;
    args.count = kCount;
    args.x = x.data();
    args.inverse_width = kBins / 2;
    args.first = -static_cast<int32_t>(kBins / 2);
    args.counts = counts.data();
    args.lane_stride = kBins;
    kernel.call->bin(args);
  });
}

}  // namespace

/// On one thread: calibration splits by tensors.
std::vector<BenchCase> stats_f32_bench() {
  return {
      columns_case("min, max, sum 56x56x64 f32", &StatsF32Functions::scan),
      columns_case("sum 56x56x64 f32", &StatsF32Functions::sum),
      {.shape = "histogram 56x56x64 f32", .bytes = 4 * kCount, .one_thread = true, .prepare = bin}};
}

}  // namespace lapidary::kernels
