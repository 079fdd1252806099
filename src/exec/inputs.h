#pragma once

#include <string>
#include <unordered_map>

#include "lapidary/exec.h"

namespace lapidary::exec {

/// Throws Error{kInvalid} unless `inputs` are the graph's inputs (those with an initializer may be
/// missing) with its types: dtype, rank, known sizes, and one size for each symbol.
void check_inputs(const Graph& graph, const Executor::Values& inputs);

}  // namespace lapidary::exec
