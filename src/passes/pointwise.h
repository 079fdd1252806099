#pragma once

#include "lapidary/graph.h"

namespace lapidary {

/// True for a Conv that maps each position by itself: a constant float32 kernel [M, C/group, 1,
/// ...], stride 1, no padding.
bool is_pointwise(const Graph& graph, NodeId conv);

}  // namespace lapidary
