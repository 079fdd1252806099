// Cuts (100 - percentile) / 2 percent of the values at either end; inside a bin values count as
// evenly spread. Where all values have one sign that end has nothing to cut but zero, and the other
// end gives the whole share.
#include <algorithm>

#include "calibrate/observer.h"

namespace lapidary {

namespace {

/// The value below which `share` values lie (share <= total).
double quantile(const Histogram& h, double share) {
  double below = 0;
  for (int64_t i = 0; i < h.bins(); ++i) {
    const auto n = static_cast<double>(h.counts[static_cast<size_t>(i)]);
    if (n > 0 && below + n >= share)
      return h.edge(i) + h.width() * std::max(0.0, share - below) / n;
    below += n;
  }
  return h.edge(h.bins());
}

}  // namespace

Range observe_percentile(const TensorStats& stats, const Grid&, const ObserverParams& params) {
  if (stats.histogram.empty()) return {stats.min, stats.max};
  const auto total = static_cast<double>(stats.histogram.total());
  const double cut = total * (1 - params.percentile / 100);
  const bool one_sided = stats.min >= 0 || stats.max <= 0;
  const double each = one_sided ? cut : cut / 2;
  Range range{stats.min, stats.max};
  if (stats.min < 0) range.low = std::max(range.low, quantile(stats.histogram, each));
  if (stats.max > 0) range.high = std::min(range.high, quantile(stats.histogram, total - each));
  return range;
}

}  // namespace lapidary
