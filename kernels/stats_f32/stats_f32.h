#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

/// Down the columns of a matrix, row after row (the order of the float32 sums is part of the
/// result):
///   scan: low[c] = min(low[c], x[r, c]), high[c] = max(high[c], x[r, c]), sum[c] += x[r, c]
///   sum:  sum[c] += x[r, c] alone
/// A NaN leaves low and high as they are and makes the sum NaN.
struct ColumnsF32Args {
  int64_t rows = 0, columns = 0;
  int64_t stride = 0;        ///< elements between rows
  const float* x = nullptr;  ///< 64 readable bytes after it, as after the arrays below
  float* sum = nullptr;
  float *low = nullptr, *high = nullptr;
};

/// Histograms count into kBinLanes copies: neighbours rarely wait for the same counter.
inline constexpr int64_t kBinLanes = 4;

/// ++counts[lane * lane_stride + floor(x[i] * inverse_width) - first] for every element, in a lane
/// of the row's choice: lanes have to be added up. Every index has to lie within [0, lane_stride),
/// |x * inverse_width| < 2^23, count < 2^32.
struct BinsF32Args {
  int64_t count = 0;
  const float* x = nullptr;
  float inverse_width = 1;  ///< a power of two
  int32_t first = 0;
  uint32_t* counts = nullptr;
  int64_t lane_stride = 0;
};

struct StatsF32Functions {
  void (*scan)(const ColumnsF32Args&);
  void (*sum)(const ColumnsF32Args&);
  /// Returns how many elements are exactly 0 (of either sign).
  int64_t (*bin)(const BinsF32Args&);
};
struct StatsF32Kernel {
  RowInfo row;
  const StatsF32Functions* call;
};

std::span<const StatsF32Kernel> stats_f32_kernels();
Choice<StatsF32Kernel> select_stats_f32();

}  // namespace lapidary::kernels
