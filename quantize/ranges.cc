#include "quantize/ranges.h"

#include <algorithm>
#include <cmath>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

TensorStats constant_stats(const Tensor& tensor) {
  TensorStats stats;
  const auto x = tensor.data<float>();
  if (x.empty()) return stats;
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  stats.count = x.size();
  stats.min = *low;
  stats.max = *high;
  stats.histogram.add(x, stats.min, stats.max);
  return stats;
}

ChosenRange least_error(const TensorStats& seen, const RangeOptions& options) {
  ChosenRange best;
  double least = INFINITY;
  for (const Observer& observer : all_observers()) {
    const Grid grid = grid_of(options.scheme);
    const Range range = observer.range(seen, grid, options.params);
    const Range with_zero{std::min(range.low, 0.0), std::max(range.high, 0.0)};
    const double error = histogram_error(seen.histogram, with_zero, grid);
    if (error >= least) continue;
    least = error;
    best = {seen_range(seen), with_zero, std::string(observer.name)};
  }
  return best;
}

}  // namespace

Grid grid_of(const QuantScheme& scheme) {
  return {.levels = scheme.qmax() - scheme.qmin() + 1, .symmetric = scheme.symmetric};
}

TensorStats group_stats(const Graph& graph, const Placement& placement, const Statistics& stats,
                        const std::vector<ValueId>& members) {
  TensorStats merged;
  const auto add = [&](ValueId id) {
    TensorStats one = graph.constant(id) ? constant_stats(*graph.constant(id))
                                         : stats.impl().tensor(graph.value(id).name);
    one.channel_axis = -1;
    one.channel_low.clear();
    one.channel_high.clear();
    one.channel_sums.clear();
    merged.merge(one);
  };
  for (const ValueId id : members)
    if (!placement.moved.contains(id.index)) add(id);
  if (merged.count == 0)
    for (const ValueId id : members)
      if (stats.has(graph.value(id).name)) add(id);
  if (merged.count == 0)
    fail_usage("the statistics hold nothing about '{}'", printable(graph.value(members[0]).name));
  return merged;
}

ChosenRange observe_range(const TensorStats& seen, const RangeOptions& options) {
  if (options.calibrator == kAutoCalibrator) return least_error(seen, options);
  const Observer& observer = find_observer(options.calibrator);
  const Range range = observer.range(seen, grid_of(options.scheme), options.params);
  return {seen_range(seen), range, options.calibrator};
}

RangeMap observe_ranges(const Graph& graph, const Placement& placement, const Statistics& stats,
                        const RangeOptions& options) {
  RangeMap ranges;
  for (const auto& [root, members] : placement.scales.groups(placement.quantized))
    ranges.emplace(root, observe_range(group_stats(graph, placement, stats, members), options));
  return ranges;
}

void annotate(Graph& graph, const Placement& placement, const RangeMap& ranges,
              const QuantScheme& scheme) {
  for (const ValueId id : placement.quantized)
    graph.mutable_value(id).quant =
        choose_qparams(ranges.at(placement.scales.root(id)).chosen, scheme);
}

}  // namespace lapidary
