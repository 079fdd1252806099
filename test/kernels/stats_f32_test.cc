#include "kernels/stats_f32/stats_f32.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "src/base/rng.h"

namespace lapidary::kernels {
namespace {

constexpr size_t kReadable = 16;  // floats behind an array that vectors may load

/// About half zeros, of either sign, as behind a ReLU.
std::vector<float> values(size_t count) {
  Rng rng(7);
  std::vector<float> x(count + kReadable, std::numeric_limits<float>::quiet_NaN());
  for (size_t i = 0; i < count; ++i) {
    const double v = rng.uniform() * 8 - 4;
    x[i] = v < 0 && i % 3 != 0 ? (i % 2 ? 0.0f : -0.0f) : static_cast<float>(v);
  }
  return x;
}

struct Columns {
  std::vector<float> low, high, sum;
  bool operator==(const Columns&) const = default;
};

Columns scanned(const StatsF32Functions& call, const std::vector<float>& x, int64_t rows,
                int64_t columns, int64_t stride, bool only_sum) {
  const auto padded = static_cast<size_t>(columns) + kReadable;
  Columns out{std::vector<float>(padded, INFINITY), std::vector<float>(padded, -INFINITY),
              std::vector<float>(padded, 0.25f)};
  const ColumnsF32Args args{.rows = rows,
                            .columns = columns,
                            .stride = stride,
                            .x = x.data(),
                            .sum = out.sum.data(),
                            .low = out.low.data(),
                            .high = out.high.data()};
  (only_sum ? call.sum : call.scan)(args);
  return out;
}

TEST(StatsF32, ColumnsHaveTheBitsOfTheScalarRow) {
  const StatsF32Functions& scalar = *stats_f32_kernels().back().call;
  const auto x = values(7 * 150);
  for (const StatsF32Kernel& kernel : stats_f32_kernels()) {
    if (!cpu_has(kernel.row.isa)) continue;
    for (const int64_t columns : {1, 3, 8, 16, 24, 64, 65, 144, 150})
      for (const bool only_sum : {false, true})
        EXPECT_EQ(scanned(*kernel.call, x, 7, columns, 150, only_sum),
                  scanned(scalar, x, 7, columns, 150, only_sum))
            << kernel.row.name << ", " << columns << " columns";
  }
}

TEST(StatsF32, ScansByHand) {
  std::vector<float> x = {1, -2, 3, 4, -5, 0};
  x.resize(x.size() + kReadable);
  const Columns out = scanned(*select_stats_f32().kernel->call, x, 2, 3, 3, false);
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(out.low[c], (std::vector<float>{1, -5, 0})[c]);
    EXPECT_EQ(out.high[c], (std::vector<float>{4, -2, 3})[c]);
    EXPECT_EQ(out.sum[c], (std::vector<float>{5.25f, -6.75f, 3.25f})[c]);
  }
}

TEST(StatsF32, NanShowsInTheSumAlone) {
  std::vector<float> x = {1, NAN, 3, 4};
  x.resize(x.size() + kReadable);
  for (const StatsF32Kernel& kernel : stats_f32_kernels()) {
    if (!cpu_has(kernel.row.isa)) continue;
    const Columns out = scanned(*kernel.call, x, 2, 2, 2, false);
    EXPECT_EQ(out.low[1], 4.0f) << kernel.row.name;
    EXPECT_EQ(out.high[1], 4.0f) << kernel.row.name;
    EXPECT_TRUE(std::isnan(out.sum[1])) << kernel.row.name;
    EXPECT_EQ(out.sum[0], 4.25f) << kernel.row.name;
  }
}

TEST(StatsF32, CountsEveryValueInItsBin) {
  constexpr int64_t kStride = 64;
  for (const StatsF32Kernel& kernel : stats_f32_kernels()) {
    if (!cpu_has(kernel.row.isa)) continue;
    for (const size_t count : {0, 1, 15, 16, 17, 255, 256, 257, 5000}) {
      const auto x = values(count);
      std::vector<uint32_t> counts(kBinLanes * kStride);
      const int64_t zeros = kernel.call->bin({.count = static_cast<int64_t>(count),
                                              .x = x.data(),
                                              .inverse_width = 8,
                                              .first = -32,
                                              .counts = counts.data(),
                                              .lane_stride = kStride});
      std::vector<uint32_t> found(kStride), expected(kStride);
      int64_t expected_zeros = 0;
      for (size_t i = 0; i < counts.size(); ++i) found[i % kStride] += counts[i];
      for (size_t i = 0; i < count; ++i) {
        ++expected[static_cast<size_t>(std::floor(static_cast<double>(x[i]) * 8) + 32)];
        expected_zeros += x[i] == 0;
      }
      EXPECT_EQ(found, expected) << kernel.row.name << ", " << count << " values";
      EXPECT_EQ(zeros, expected_zeros) << kernel.row.name << ", " << count << " values";
    }
  }
}

}  // namespace
}  // namespace lapidary::kernels
