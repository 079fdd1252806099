#pragma once

#include <optional>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// A Conv, ConvTranspose or Gemm of constant float32 parameters:
///   y[c] = (sum of inputs x weight[c]) + bias[c]
struct LinearNode {
  NodeId node;
  int64_t channels = 0;
};
/// Null where the node is none, or its parameters are no constants, or its output (or a parameter)
/// is annotated with quantization.
std::optional<LinearNode> linear_node(const Graph& graph, NodeId node);

/// Makes it y'[c] = scale[c] * y[c] + shift[c]: weights and bias are computed in double and rounded
/// once. Returns false, and changes nothing, where a result is not finite.
bool scale_and_shift(Graph& graph, const LinearNode& linear, const std::vector<double>& scale,
                     const std::vector<double>& shift);

/// Gives a constant that other nodes read too a copy that only this input reads; returns its id.
ValueId own_constant(Graph& graph, NodeId node, size_t slot);

}  // namespace lapidary
