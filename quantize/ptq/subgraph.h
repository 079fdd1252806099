#pragma once

#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// A graph of its own made of `nodes` (in topological order), reading `inputs` and giving
/// `outputs`; names, types and constants as in `graph`.
Graph extract_subgraph(const Graph& graph, const std::vector<NodeId>& nodes,
                       const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs);

}  // namespace lapidary
