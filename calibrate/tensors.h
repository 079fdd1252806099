#pragma once

#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// A tensor to watch.
struct Watched {
  ValueId value;
  int64_t channel_axis = -1;  ///< where its channels are, -1: no channels known
};
/// A linear node whose input's window sums are wanted.
struct WatchedNode {
  NodeId node;
  ValueId input;
};

/// The float activations that a target may quantize: inputs and outputs of ops with an integer
/// form, but for what a Relu or Clip follows alone (it is absorbed) and what only lies inside a
/// recognised normalisation, softmax or GELU.
std::vector<Watched> watched_tensors(const Graph& graph);
/// Conv, Gemm and MatMul nodes with constant float weights.
std::vector<WatchedNode> watched_nodes(const Graph& graph);

/// True where `id` is Relu, or Clip with constant bounds: an integer op's saturation can stand for
/// it.
bool is_clamp(const Graph& graph, NodeId id);

}  // namespace lapidary
