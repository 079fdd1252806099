#pragma once

#include "lapidary/graph.h"
#include "src/ops/infer.h"

namespace lapidary::prune {

/// Brings a graph into the form that axis rules speak of: functions inlined, known shape arithmetic
/// folded, Split's sizes listed, types inferred, sizes that only readers tell learned from them.
/// Gives what inference knows of integers.
InferredElements prepare(Graph& graph);

}  // namespace lapidary::prune
