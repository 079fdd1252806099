#pragma once

#include "lapidary/graph.h"

namespace lapidary::exec {

/// True where some value of the graph is FP16.
bool has_half(const Graph& graph);

/// True where a node makes an FP16 value or an input brings one: more than storage is FP16.
bool has_half_results(const Graph& graph);

/// FP16 values become FP32 ones of the same elements; inputs and outputs keep their type and are
/// converted at the edge. `rounds`: what a node made as FP16 is still rounded to it, so that every
/// op gives what it gives on FP16 with its sums in FP32; otherwise FP16 is the storage of constants
/// only. A graph with subgraphs or ops that read the bits of their type stays as it is.
void widen_half(Graph& graph, bool rounds);

/// Rounds every FP32 input, constant (but scales of integers) and result of a node to FP16, kept as
/// FP32. Throws Error{kUnsupported} for a graph with subgraphs.
void round_to_half(Graph& graph);

}  // namespace lapidary::exec
