#pragma once

#include "lapidary/graph.h"
#include "quantize/binarize/nodes.h"
#include "quantize/binarize/pack.h"

// Nodes of the deployed operators (domain ai.lapidary) in place of a lowered layer's.

namespace lapidary {

/// A layer as it stands in the lowered graph: weights (and the norm behind it) folded into one
/// constant, or stored as integers behind DequantizeLinear.
struct LoweredLayer {
  NodeId node;
  WeightKind kind = WeightKind::kFloat;
  int64_t axis = 0;  ///< of output channels in its weights
};

/// BinaryConv or BinaryMatMul in place of the layer, whose input a Binarize makes.
void emit_binary_product(Graph& graph, const LoweredLayer& layer, NodeId sign);
/// UnpackBinary or UnpackTernary and the factors in place of the layer's constant weights.
void emit_unpacked(Graph& graph, const LoweredLayer& layer);
/// Where(x >= 0, 1, -1) in place of every Binarize.
void emit_signs(Graph& graph);

}  // namespace lapidary
