#pragma once

#include "lapidary/graph.h"

namespace lapidary {

/// A bias that the integer model will hold as int32.
struct IntegerBias {
  NodeId layer;
  NodeId reader;    ///< of the bias: the layer, the Add behind it, or `norm`
  size_t slot = 2;  ///< where
  NodeId norm;      ///< the BatchNormalization that will be folded into the layer, or none
};

/// Adds FakeQuantizeBias before a bias, so that training sees what int32 keeps of it. Nothing is
/// done where the layer's input and weights do not come from FakeQuantize.
void fake_bias(Graph& graph, const IntegerBias& at);
/// Takes them all out again.
void take_biases(Graph& graph);

}  // namespace lapidary
