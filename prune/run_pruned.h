#pragma once

#include "lapidary/exec.h"
#include "lapidary/graph.h"

namespace lapidary::prune {

/// The outputs of a pruned graph. What was left must run where the whole graph does: throws
/// Error{kInternal} where it cannot.
Executor::Values run_pruned(const Graph& pruned, const Executor::Values& inputs, int threads);

}  // namespace lapidary::prune
