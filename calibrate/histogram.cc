#include "calibrate/histogram.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <numeric>

#include "kernels/stats_f32/stats_f32.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"

namespace lapidary {

namespace {

constexpr double kMaxIndex = 1 << 23;
constexpr int64_t kGrain = 1 << 16;  // values a task, so that clearing its counters does not show

int64_t bin_of(double value, int exponent) {
  return static_cast<int64_t>(std::floor(std::ldexp(value, -exponent)));
}

bool fits(double low, double high, int exponent) {
  const double a = std::floor(std::ldexp(low, -exponent));
  const double b = std::floor(std::ldexp(high, -exponent));
  return b - a < static_cast<double>(Histogram::kMaxBins) && -a < kMaxIndex && b < kMaxIndex;
}

int64_t shift_index(int64_t index, int by) { return by > 62 ? (index < 0 ? -1 : 0) : index >> by; }

using Lanes = std::array<std::array<uint32_t, Histogram::kMaxBins>, kernels::kBinLanes>;

}  // namespace

double Histogram::width() const { return std::ldexp(1.0, exponent); }

uint64_t Histogram::total() const {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

void Histogram::coarsen(int to_exponent) {
  const int by = to_exponent - exponent;
  if (by <= 0) return;
  exponent = to_exponent;
  if (counts.empty()) return;
  const int64_t old_first = first;
  first = shift_index(first, by);
  const int64_t last = shift_index(old_first + bins() - 1, by);
  std::vector<uint64_t> merged(static_cast<size_t>(last - first + 1));
  for (int64_t i = 0; i < bins(); ++i)
    merged[static_cast<size_t>(shift_index(old_first + i, by) - first)] +=
        counts[static_cast<size_t>(i)];
  counts = std::move(merged);
}

void Histogram::cover(double low, double high) {
  if (!counts.empty()) {
    low = std::min(low, edge(0));
    high = std::max(high, edge(bins() - 1));
  }
  int wanted = exponent;
  while (!fits(low, high, wanted)) ++wanted;
  coarsen(wanted);
  const int64_t from = bin_of(low, exponent), to = bin_of(high, exponent);
  if (counts.empty()) {
    first = from;
  } else if (from < first) {
    counts.insert(counts.begin(), static_cast<size_t>(first - from), 0);
    first = from;
  }
  counts.resize(static_cast<size_t>(std::max(to - first + 1, bins())));
}

void Histogram::add(std::span<const float> values, float low, float high, int threads) {
  if (values.empty()) return;
  LAPIDARY_CHECK(std::isfinite(low) && std::isfinite(high) && low <= high);
  cover(low, high);
  const auto* kernel = kernels::select_stats_f32().kernel->call;
  std::mutex guard;
  parallel_for(
      static_cast<int64_t>(values.size()), kGrain,
      [&](int64_t begin, int64_t end, int) {
        alignas(64) Lanes lanes{};
        const auto found = kernel->bin({.count = end - begin,
                                        .x = values.data() + begin,
                                        .inverse_width = std::ldexp(1.0f, -exponent),
                                        .first = static_cast<int32_t>(first),
                                        .counts = lanes[0].data(),
                                        .lane_stride = kMaxBins});
        const std::lock_guard lock(guard);
        for (const auto& lane : lanes)
          for (size_t i = 0; i < counts.size(); ++i) counts[i] += lane[i];
        zeros += static_cast<uint64_t>(found);
      },
      threads);
}

void Histogram::merge(const Histogram& other) {
  if (other.empty()) return;
  if (empty()) {
    *this = other;
    return;
  }
  Histogram right = other;
  cover(right.edge(0), right.edge(right.bins() - 1));
  coarsen(right.exponent);
  right.coarsen(exponent);
  cover(right.edge(0), right.edge(right.bins() - 1));
  for (int64_t i = 0; i < right.bins(); ++i)
    counts[static_cast<size_t>(right.first + i - first)] += right.counts[static_cast<size_t>(i)];
  zeros += right.zeros;
}

}  // namespace lapidary
