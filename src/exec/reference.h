#pragma once

#include <functional>
#include <span>
#include <unordered_set>
#include <vector>

#include "lapidary/exec.h"
#include "lapidary/graph.h"

namespace lapidary::exec {

/// Evaluates one node. `inputs` are its inputs (null: absent), then its captures; an If runs the branch
/// that its condition chooses. Results are one per output, wanted or not.
std::vector<Tensor> execute_node(const Graph& graph, NodeId id, std::span<const Tensor* const> inputs);

/// Node by node on row-major tensors, values freed after their last use. `inputs` were checked; `seen` is
/// called with each value made (inputs too), in execution order. Returns the graph's outputs, with
/// `keep_all` every value.
Executor::Values run_reference(const Graph& graph, const Executor::Values& inputs, bool keep_all,
                               const std::function<void(ValueId, const Tensor&)>& seen);

}  // namespace lapidary::exec
