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

/// Counts with their running sums, so that a candidate range costs its levels, not its bins.
class Bins {
 public:
  explicit Bins(const Counts& counts) : mass_{0}, filled_{0}, entropy_{0} {
    for (const double n : counts) {
      mass_.push_back(mass_.back() + n);
      filled_.push_back(filled_.back() + (n > 0));
      entropy_.push_back(entropy_.back() + times_log(n));
    }
  }

  size_t size() const { return mass_.size() - 1; }
  double mass(size_t begin, size_t end) const { return mass_[end] - mass_[begin]; }

  /// KL(P || Q) for bins [begin, end), P and Q made as above; infinite where Q is 0 and P is not.
  /// With n_i the counts of P, N their sum, m_l and f_l the mass and the filled bins of level l of
  /// Q, M its mass: (sum_i n_i ln n_i - sum_l (sum of n in l) ln(m_l / f_l)) / N + ln(M / N).
  double divergence(size_t begin, size_t end, size_t levels) const {
    const double below = mass(0, begin), above = mass(end, size());
    const double q_total = mass(begin, end), p_total = q_total + below + above;
    if (q_total <= 0) return INFINITY;
    const size_t bins = end - begin, last = end - 1;
    double sum = entropy_[end] - entropy_[begin];
    if (begin == last) {
      sum += gain(begin, below + above);
    } else {
      sum += gain(begin, below) + gain(last, above);
    }
    for (size_t level = 0, from = begin; level < levels; ++level) {
      const size_t to = begin + (level + 1) * bins / levels;
      if (to == from) continue;
      const bool starts = from == begin, ends = to == end;
      const double q = mass(from, to), p = q + (starts ? below : 0) + (ends ? above : 0);
      double filled = filled_[to] - filled_[from];
      if (starts && below > 0 && mass(begin, begin + 1) == 0) ++filled;
      if (ends && above > 0 && mass(last, end) == 0 && !(last == begin && below > 0)) ++filled;
      from = to;
      if (p <= 0) continue;
      if (q <= 0) return INFINITY;
      sum -= p * std::log(q / filled);
    }
    return sum / p_total + std::log(q_total / p_total);
  }

 private:
  static double times_log(double n) { return n > 0 ? n * std::log(n) : 0; }
  /// What n ln n of a bin grows by with `more` in it.
  double gain(size_t bin, double more) const {
    const double n = mass(bin, bin + 1);
    return times_log(n + more) - times_log(n);
  }

  std::vector<double> mass_, filled_, entropy_;
};

/// The end of [0, end) with the least divergence; `levels` <= end <= size.
size_t best_end(const Bins& bins, size_t levels) {
  size_t best = bins.size();
  double least = INFINITY;
  for (size_t end = bins.size(); end >= levels && end > 0; --end) {
    const double found = bins.divergence(0, end, levels);
    if (found < least) least = found, best = end;
  }
  return best;
}

/// Bins [begin, end) of a two-sided histogram around `zero` (the index of the bin that begins at
/// 0).
void search_two_sided(const Bins& bins, size_t zero, size_t levels, size_t& begin, size_t& end) {
  for (int round = 0; round < 2; ++round) {
    double least = INFINITY;
    size_t best = end;
    for (size_t to = bins.size(); to > zero && to >= begin + levels; --to) {
      const double found = bins.divergence(begin, to, levels);
      if (found < least) least = found, best = to;
    }
    end = best;
    least = INFINITY;
    best = begin;
    for (size_t from = 0; from < zero && from + levels <= end; ++from) {
      const double found = bins.divergence(from, end, levels);
      if (found < least) least = found, best = from;
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
    const double limit = static_cast<double>(best_end(Bins(magnitudes), levels)) * width;
    return {std::max(seen.low, -limit), std::min(seen.high, limit)};
  }
  Counts counts(h.counts.size());
  for (int64_t i = 0; i < h.bins(); ++i) counts[static_cast<size_t>(i)] = count_of(i);
  size_t begin = 0, end = counts.size();
  search_two_sided(Bins(counts), static_cast<size_t>(-h.first), levels, begin, end);
  return {std::max(seen.low, h.edge(static_cast<int64_t>(begin))),
          std::min(seen.high, h.edge(static_cast<int64_t>(end)))};
}

}  // namespace lapidary
