#pragma once

#include <functional>
#include <vector>

#include "src/exec/planner.h"

namespace lapidary::exec {

/// Nodes that may become one step although they are no simple chain: nobody outside reads what any
/// of them but the last makes. The planner leaves each out until the last one's turn.
struct Fusion {
  std::vector<NodeId> nodes;  ///< in the order of the graph; the last makes `output`
  ValueId output;
  /// Appends the step. False: the nodes are built one by one.
  std::function<bool(PlanBuilder&, const Fusion&)> build;
};

/// Fusions of the graph's regions; no node is in two.
std::vector<Fusion> find_fusions(const PlanBuilder& b);

}  // namespace lapidary::exec
