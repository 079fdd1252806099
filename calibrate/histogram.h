#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lapidary {

/// Counts of float values in bins of one width w = 2^exponent, anchored at 0: bin i holds [i*w,
/// (i+1)*w). Widening merges bins pairwise, floor(floor(x / w) / 2) = floor(x / 2w), so that the
/// counts depend only on the values seen: not on their order, not on how they were split between
/// threads or files.
class Histogram {
 public:
  static constexpr int64_t kMaxBins = 2048;
  static constexpr int kMinExponent = -100;

  int exponent = kMinExponent;
  int64_t first = 0;             ///< index of the bin counts[0]
  std::vector<uint64_t> counts;  ///< empty: nothing seen; both ends hold values
  uint64_t zeros = 0;            ///< exact zeros; they are in bin 0 too

  bool operator==(const Histogram&) const = default;

  bool empty() const { return counts.empty(); }
  int64_t bins() const { return static_cast<int64_t>(counts.size()); }
  double width() const;
  /// Lower edge of counts[i].
  double edge(int64_t i) const { return static_cast<double>(first + i) * width(); }
  double middle(int64_t i) const { return edge(i) + 0.5 * width(); }
  uint64_t total() const;

  /// Adds finite values, all within [low, high], both of which are among them.
  void add(std::span<const float> values, float low, float high, int threads = 1);
  void merge(const Histogram& other);

 private:
  /// Makes room for [low, high]: the width grows to the least that keeps within kMaxBins bins and
  /// |index| < 2^23 (indices stay exact in float32).
  void cover(double low, double high);
  void coarsen(int to_exponent);
};

}  // namespace lapidary
