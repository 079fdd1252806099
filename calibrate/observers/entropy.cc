// Least Kullback-Leibler divergence KL(P || Q) over clip ranges (as NVIDIA's TensorRT calibrates,
// GTC 2017 talk 7310). P: the histogram inside the range, what lies outside added to its end bins.
// Q: the histogram inside the range (nothing added) merged into as many groups of bins as the grid
// has levels, each group's count spread evenly over those of its bins that P fills. Exact zeros are
// left out: they are exact in every range. Symmetric grids look at |x|; otherwise one end is
// searched after the other, twice. An end stays where it is until it leaves fewer than `levels`
// bins.
#include <algorithm>
#include <cmath>
#include <vector>

#include "calibrate/observer.h"

namespace lapidary {

namespace {

using Counts = std::vector<double>;

/// KL(P || Q) for bins [begin, end); infinite where Q is 0 and P is not.
double divergence(const Counts& counts, size_t begin, size_t end, size_t levels, double below,
                  double above) {
  const size_t bins = end - begin;
  double p_total = below + above, q_total = 0;
  for (size_t i = begin; i < end; ++i) p_total += counts[i];
  q_total = p_total - below - above;
  if (q_total <= 0) return INFINITY;
  double sum = 0;
  for (size_t level = 0; level < levels; ++level) {
    const size_t from = begin + level * bins / levels, to = begin + (level + 1) * bins / levels;
    double mass = 0, filled = 0;
    for (size_t i = from; i < to; ++i) {
      const bool holds = counts[i] > 0 || (i == begin && below > 0) || (i == end - 1 && above > 0);
      mass += counts[i];
      filled += holds;
    }
    for (size_t i = from; i < to; ++i) {
      const double p = counts[i] + (i == begin ? below : 0) + (i == end - 1 ? above : 0);
      if (p <= 0) continue;
      if (mass <= 0) return INFINITY;
      sum += p / p_total * std::log(p / p_total / (mass / filled / q_total));
    }
  }
  return sum;
}

/// The end of [0, end) with the least divergence; `levels` <= end <= size.
size_t best_end(const Counts& counts, size_t levels) {
  size_t best = counts.size();
  double least = INFINITY, above = 0;
  for (size_t end = counts.size(); end >= levels && end > 0; --end) {
    const double found = divergence(counts, 0, end, levels, 0, above);
    if (found < least) {
      least = found;
      best = end;
    }
    above += counts[end - 1];
  }
  return best;
}

/// Bins [begin, end) of a two-sided histogram around `zero` (the index of the bin that begins at
/// 0).
void search_two_sided(const Counts& counts, size_t zero, size_t levels, size_t& begin,
                      size_t& end) {
  for (int round = 0; round < 2; ++round) {
    double least = INFINITY;
    const size_t fixed_begin = begin;
    double below = 0, above = 0;
    for (size_t i = 0; i < fixed_begin; ++i) below += counts[i];
    size_t best = end;
    for (size_t to = counts.size(); to > zero && to >= fixed_begin + levels; --to) {
      const double found = divergence(counts, fixed_begin, to, levels, below, above);
      if (found < least) least = found, best = to;
      above += counts[to - 1];
    }
    end = best;
    least = INFINITY;
    below = above = 0;
    for (size_t i = end; i < counts.size(); ++i) above += counts[i];
    best = begin;
    for (size_t from = 0; from < zero && from + levels <= end; ++from) {
      const double found = divergence(counts, from, end, levels, below, above);
      if (found < least) least = found, best = from;
      below += counts[from];
    }
    begin = best;
  }
}

}  // namespace

Range observe_entropy(const TensorStats& stats, const Grid& grid, const ObserverParams&) {
  const Histogram& h = stats.histogram;
  const Range seen{stats.min, stats.max};
  if (h.empty()) return seen;
  const auto levels = static_cast<size_t>(grid.symmetric ? (grid.levels + 1) / 2 : grid.levels);
  const auto count_of = [&](int64_t i) {
    const auto n = static_cast<double>(h.counts[static_cast<size_t>(i)]);
    return h.first + i == 0 ? n - static_cast<double>(h.zeros) : n;
  };
  if (grid.symmetric || stats.min >= 0 || stats.max <= 0) {
    // Values far from 0 have bins finer than kMaxBins of them from 0 on: merged by powers of two.
    const int64_t reach = std::max(h.first + h.bins(), -h.first);
    int merged = 0;
    while ((reach - 1) >> merged >= Histogram::kMaxBins) ++merged;
    Counts magnitudes(static_cast<size_t>(((reach - 1) >> merged) + 1));
    for (int64_t i = 0; i < h.bins(); ++i) {
      const int64_t bin = h.first + i;
      magnitudes[static_cast<size_t>((bin < 0 ? -bin - 1 : bin) >> merged)] += count_of(i);
    }
    const double width = std::ldexp(h.width(), merged);
    const double limit = static_cast<double>(best_end(magnitudes, levels)) * width;
    return {std::max(seen.low, -limit), std::min(seen.high, limit)};
  }
  Counts counts(h.counts.size());
  for (int64_t i = 0; i < h.bins(); ++i) counts[static_cast<size_t>(i)] = count_of(i);
  size_t begin = 0, end = counts.size();
  search_two_sided(counts, static_cast<size_t>(-h.first), levels, begin, end);
  return {std::max(seen.low, h.edge(static_cast<int64_t>(begin))),
          std::min(seen.high, h.edge(static_cast<int64_t>(end)))};
}

}  // namespace lapidary
