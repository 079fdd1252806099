#pragma once

#include "lapidary/graph.h"

namespace lapidary {

/// Moves QuantizeLinear of one scale before the nodes that only move its elements, where it does
/// not get more elements that way: bytes are moved instead of floats, and the values are the same.
/// Needs static types. Returns how many were moved.
int64_t quantize_first(Graph& graph);

}  // namespace lapidary
