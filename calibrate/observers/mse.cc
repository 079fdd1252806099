// Least E[(Q(x) - x)^2] over clip ranges [low, high]: first both ends on a grid of 1/32 of the
// range seen, then 1/512 around the best. Ends of a one-sided tensor stay at 0; symmetric grids
// have one end.
#include <algorithm>
#include <cmath>

#include "calibrate/observer.h"

namespace lapidary {

namespace {

struct Search {
  const TensorStats& stats;
  const Grid& grid;
  double clip_weight;
  Range best;
  double error = -1;

  void attempt(double low_share, double high_share) {
    const Range range{low_share * std::min<double>(stats.min, 0),
                      high_share * std::max<double>(stats.max, 0)};
    if (!(range.high > range.low)) return;
    const double found = histogram_error(stats.histogram, range, grid, clip_weight);
    if (error >= 0 && found >= error) return;
    error = found;
    best = range;
    low = low_share;
    high = high_share;
  }
  double low = 1, high = 1;
};

constexpr int kCoarse = 32, kFine = 512;

Range least_error(const TensorStats& stats, const Grid& grid, double clip_weight) {
  const Range seen = seen_range(stats);
  if (stats.histogram.empty() || !(seen.high > seen.low)) return {stats.min, stats.max};
  Search search{stats, grid, clip_weight, seen};
  const bool low_moves =
      stats.min < 0 && (!grid.symmetric || stats.max <= 0 || -stats.min > stats.max);
  const bool high_moves = stats.max > 0 && (!grid.symmetric || !low_moves);
  for (int i = low_moves ? 1 : kCoarse; i <= kCoarse; ++i)
    for (int j = high_moves ? 1 : kCoarse; j <= kCoarse; ++j)
      search.attempt(static_cast<double>(i) / kCoarse, static_cast<double>(j) / kCoarse);
  const double low = search.low, high = search.high;
  constexpr int kReach = kFine / kCoarse;
  for (int i = low_moves ? -kReach : 0; i <= (low_moves ? kReach : 0); i += 2)
    for (int j = high_moves ? -kReach : 0; j <= (high_moves ? kReach : 0); j += 2) {
      const double a = low + static_cast<double>(i) / kFine,
                   b = high + static_cast<double>(j) / kFine;
      if (a > 0 && a <= 1 && b > 0 && b <= 1) search.attempt(a, b);
    }
  return search.best;
}

}  // namespace

Range observe_mse(const TensorStats& stats, const Grid& grid, const ObserverParams&) {
  return least_error(stats, grid, 1);
}

// Rounding errors of a layer cancel in the sums of the next one; clipping errors, all of one sign
// and made by the same large features in every block, do not.
Range observe_mse_guarded(const TensorStats& stats, const Grid& grid, const ObserverParams&) {
  return least_error(stats, grid, kClipWeight);
}

}  // namespace lapidary
