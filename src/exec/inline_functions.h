#pragma once

#include "lapidary/graph.h"

namespace lapidary::exec {

/// Replaces every call of a model-local function by its body, in branches of If too. Throws Error{kInvalid}
/// for a function that calls itself, Error{kUnsupported} where a body's opset gives an op of the body
/// another meaning than the graph's import.
void inline_functions(Graph& graph);

}  // namespace lapidary::exec
