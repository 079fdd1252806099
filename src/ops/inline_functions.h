#pragma once

#include <cstdint>

#include "lapidary/graph.h"

namespace lapidary {

struct InlineOptions {
  /// Functions that call each other twice double at every level: a small file can ask for any
  /// number.
  int64_t max_nodes = 2'000'000;
  /// Own ops too become their portable bodies: what another engine computes.
  bool own_ops = false;
};

/// Replaces every call of a model-local function by its body, in subgraphs too, and drops the
/// functions. References to attributes become the call's attributes or the function's defaults; new
/// values and nodes are named "<call>/<name>". Throws Error: kInvalid where a call does not fit its
/// function or functions call each other in a circle, kUnsupported where a body means another
/// version of an op than the graph imports, kResource beyond `max_nodes`.
LAPIDARY_API void inline_functions(Graph& graph, const InlineOptions& options = {});

}  // namespace lapidary
