#pragma once

#include <span>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary::exec {

/// Evaluates one node. `inputs` are its inputs (null: absent), then its captures; an If runs the
/// branch that its condition chooses. Results are one per output, wanted or not.
std::vector<Tensor> execute_node(const Graph& graph, NodeId id,
                                 std::span<const Tensor* const> inputs);

}  // namespace lapidary::exec
