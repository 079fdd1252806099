#pragma once

#include <unordered_set>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// A graph of its own made of `nodes` (node indices), reading `inputs` and giving `outputs`; names,
/// types and constants as in `graph`.
Graph extract_subgraph(const Graph& graph, const std::unordered_set<uint32_t>& nodes,
                       const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs);

}  // namespace lapidary
