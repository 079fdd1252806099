#include "kernels/stats_f32/stats_f32.h"

#include <cmath>

#include "kernels/families.h"

namespace lapidary::kernels {

namespace {

void scan(const ColumnsF32Args& p) {
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t c = 0; c < p.columns; ++c) {
      const float x = p.x[r * p.stride + c];
      p.low[c] = x < p.low[c] ? x : p.low[c];
      p.high[c] = x > p.high[c] ? x : p.high[c];
      p.sum[c] += x;
    }
}

void sum(const ColumnsF32Args& p) {
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t c = 0; c < p.columns; ++c) p.sum[c] += p.x[r * p.stride + c];
}

int64_t bin(const BinsF32Args& p) {
  int64_t zeros = 0;
  for (int64_t i = 0; i < p.count; ++i) {
    const auto index = static_cast<int32_t>(std::floor(p.x[i] * p.inverse_width)) - p.first;
    ++p.counts[i % kBinLanes * p.lane_stride + index];
    zeros += p.x[i] == 0.0f;
  }
  return zeros;
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const StatsF32Functions name;
#include "kernels/stats_f32/kernels.def"
#undef LAPIDARY_KERNEL

const StatsF32Functions stats_f32_scalar = {scan, sum, bin};

std::span<const StatsF32Kernel> stats_f32_kernels() {
  static const StatsF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"stats_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/stats_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> stats_f32_rows() { return rows_of(stats_f32_kernels()); }

Choice<StatsF32Kernel> select_stats_f32() { return choose(stats_f32_kernels()); }

}  // namespace lapidary::kernels
