// m <- m + momentum * (x_i - m) over the chunks i in index order, x_i the chunk's min (max); m
// starts at the first chunk. Sources follow one another in the order of their hashes.
#include "calibrate/observer.h"

namespace lapidary {

Range observe_moving_average(const TensorStats& stats, const Grid&, const ObserverParams& params) {
  Range average;
  bool started = false;
  for (const auto& [source, series] : stats.chunks)
    for (const auto& [low, high] : series.ranges) {
      if (low > high) continue;  // no sample of this chunk was seen
      if (!started) average = {low, high};
      started = true;
      average.low += params.momentum * (low - average.low);
      average.high += params.momentum * (high - average.high);
    }
  return started ? average : Range{stats.min, stats.max};
}

}  // namespace lapidary
