#pragma once

#include <functional>
#include <string>
#include <vector>

#include "src/exec/planner.h"

namespace lapidary::exec {

/// Evaluates the node on tensors: its inputs (an invalid operand: absent), then its captures.
std::function<void(const StepRun&)> reference_step(const Graph& graph, NodeId id,
                                                   std::vector<Operand> reads,
                                                   std::vector<Operand> writes);
/// "float32", "int64", ...: the type of the node's first output, as far as it is known.
std::string reference_precision(const Graph& graph, NodeId id);

}  // namespace lapidary::exec
