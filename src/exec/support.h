#pragma once

#include <string>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary::exec {

/// Throws Error{kUnsupported} that lists every op which has no evaluation, with counts ("Loop
/// (2)"); nodes inside the branches of an If are looked at too. Functions must have been inlined.
void check_executable(const Graph& graph);

}  // namespace lapidary::exec
