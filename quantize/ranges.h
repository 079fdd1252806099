#pragma once

#include <map>
#include <string>

#include "calibrate/observer.h"
#include "quantize/placement.h"

namespace lapidary {

/// A group's range, and who chose it.
struct ChosenRange {
  Range seen, chosen;
  std::string calibrator;
};
using RangeMap = std::map<ValueId, ChosenRange>;  ///< by root of the scale group

struct RangeOptions {
  std::string calibrator = kDefaultCalibrator;
  ObserverParams params;
  QuantScheme scheme;
};

Grid grid_of(const QuantScheme& scheme);
/// What was seen of a group: its members' statistics merged, but for those that only moved;
/// constants count as seen. Throws Error{kUsage} where the statistics lack a tensor.
TensorStats group_stats(const Graph& graph, const Placement& placement, const Statistics& stats,
                        const std::vector<ValueId>& members);
/// Ranges by one observer; "auto" here is the one with the least error in the histogram.
ChosenRange observe_range(const TensorStats& seen, const RangeOptions& options);
RangeMap observe_ranges(const Graph& graph, const Placement& placement, const Statistics& stats,
                        const RangeOptions& options);
/// Puts the QuantParams of every quantized activation on its value.
void annotate(Graph& graph, const Placement& placement, const RangeMap& ranges,
              const QuantScheme& scheme);

}  // namespace lapidary
