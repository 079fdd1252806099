#pragma once

#include <string>
#include <vector>

#include "lapidary/binarize.h"
#include "src/ir/patterns.h"

namespace lapidary {

/// What the options say once defaults are filled in.
struct BinaryMethod {
  std::string method, estimator, weight_estimator;
};
/// Throws Error{kUsage} for unknown names and for options that contradict each other.
BinaryMethod check_options(const BinarizeOptions& options);

struct ChosenLayers {
  std::vector<NodeId> converted;  ///< in graph order
  NodeSet ends;                   ///< layers before or behind which there is none, not converted
  std::vector<KeptFloat> kept_float;
};
/// Which layers are converted: those that the options name, or all but the ends; of a graph that
/// has Binarize nodes, those behind one. Throws Error{kUsage} for patterns that name no layer that
/// can be, and where none is left.
ChosenLayers choose_layers(const Graph& graph, const BinarizeOptions& options);

}  // namespace lapidary
