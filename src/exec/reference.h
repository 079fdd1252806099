#pragma once

#include <span>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary::exec {

/// Evaluates one node. `inputs` are its inputs (null: absent), then its captures; If, Loop and Scan
/// run the graphs that they hold. Results are one per output, wanted or not. Throws
/// Error{kResource} where loops take more than a million iterations or ten minutes.
LAPIDARY_API std::vector<Tensor> execute_node(const Graph& graph, NodeId id,
                                 std::span<const Tensor* const> inputs);

}  // namespace lapidary::exec
