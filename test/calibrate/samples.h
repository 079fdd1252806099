#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "calibrate/statistics.h"
#include "src/base/rng.h"

namespace lapidary {

inline constexpr int kDrawn = 20000;

/// k + u with probability 2^-(k+1): exponential, in steps.
inline double stairs(Rng& rng) {
  const uint64_t word = rng.next();
  return std::countl_zero(word) + static_cast<double>(word & 0xFFFF) / 65536;
}

/// The sum of 12 uniform numbers less 6: nearly normal with variance 1.
inline double bell(Rng& rng) {
  uint64_t sum = 0;
  for (int i = 0; i < 12; ++i) sum += rng.next() >> 48;
  return static_cast<double>(sum) / 65536 - 6;
}

/// The values that observer_reference.py draws under that name; all are exact in float32.
inline std::vector<float> draw(std::string_view name) {
  Rng rng(2024);
  std::vector<float> values;
  for (int i = 0; i < kDrawn; ++i) {
    double x = 0;
    if (name == "exponential") x = stairs(rng);
    if (name == "outlier") x = i == kDrawn - 1 ? 40 : std::fabs(bell(rng));
    if (name == "bimodal") x = i % 2 == 0 ? bell(rng) / 8 - 1 : bell(rng) / 4 + 3;
    if (name == "relu") x = std::max(0.0, bell(rng) - 0.5);
    if (name == "skewed") x = i % 5 == 0 ? -stairs(rng) / 4 : stairs(rng);
    values.push_back(static_cast<float>(x));
  }
  return values;
}

/// Statistics of values that were seen in `chunks` equal parts.
inline TensorStats stats_in_chunks(const std::vector<float>& values, size_t chunks) {
  TensorStats stats;
  stats.count = values.size();
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  stats.min = *low;
  stats.max = *high;
  stats.histogram.add(values, stats.min, stats.max);
  const auto each = static_cast<int64_t>(values.size() / chunks);
  for (int64_t i = 0; i < static_cast<int64_t>(chunks); ++i) {
    const auto from = values.begin() + each * i;
    const auto [a, b] = std::minmax_element(from, from + each);
    stats.chunks["data"].add(i, *a, *b);
  }
  return stats;
}

}  // namespace lapidary
