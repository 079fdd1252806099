#pragma once

#include <string_view>

#include "lapidary/graph.h"
#include "lapidary/passes.h"

namespace lapidary {

// Every pass: a rewrite whose equation is the first comment of its file.
#define LAPIDARY_PASS(name, training, help) \
  PassResult name(Graph& graph, const PassOptions& options);
#include "src/passes/passes.def"
#undef LAPIDARY_PASS

/// Replaces a node of constant inputs by its outputs' constants, where it is foldable and they have
/// at most `limit` elements. True where it did; never for DequantizeLinear.
bool fold_node(Graph& graph, NodeId node, int64_t limit);

}  // namespace lapidary
