#pragma once

#include <vector>

#include "lapidary/graph.h"

// Which constants of a graph training changes, and what each is to the node that reads it.

namespace lapidary {

/// The slot of trained weights of a node and the axis of its output channels; -1: it has none.
struct WeightSlot {
  int slot = -1;
  int64_t axis = 0;
};
WeightSlot weight_slot(const Graph& graph, NodeId node);
/// The constant from which a weight is computed, along the first inputs of what computes it
/// (FakeQuantize, Mul, Div, Tanh); none where that ends elsewhere.
ValueId trained_constant(const Graph& graph, ValueId weight);

/// The elements of a value that constants alone make, by the reference evaluation of its nodes.
/// Throws Error{kInternal} for others.
Tensor computed_constant(const Graph& graph, ValueId id);

enum class ParameterRole {
  kWeight,     ///< of a layer: what its inputs are multiplied by
  kBias,       ///< of a layer: added to its sums
  kPeephole,   ///< of LSTM: what its gates see of the cell
  kGain,       ///< of a normalization: multiplies what was normalized
  kShift,      ///< of a normalization: added to it
  kMean,       ///< running statistics of BatchNormalization, which steps move without a gradient
  kVariance,   ///< likewise
  kEmbedding,  ///< [rows, features] that Gather picks from
  kSlope,      ///< of PRelu
  kFactor,     ///< one for each channel, of a Mul
  kTerm,       ///< added: one for each channel, or a table, as of positions
};
/// LSTM, GRU or RNN.
bool is_recurrent(const Node& node);
struct ParameterUse {
  ValueId constant;
  ParameterRole role;
  NodeId reader;
};
/// The float32 constants that a model is trained in, by the ops that read them; a constant that is
/// read twice is there twice. Factors and terms are such only behind a layer: before the first one
/// they normalize the data. Terms of magnitude 1e4 and more are masks.
std::vector<ParameterUse> parameter_uses(const Graph& graph);
/// Whether a gradient changes what has this role.
inline bool is_trained(ParameterRole role) {
  return role != ParameterRole::kMean && role != ParameterRole::kVariance;
}
/// Whether `weight_decay` pulls it to 0.
inline bool decays(ParameterRole role) {
  return role == ParameterRole::kWeight || role == ParameterRole::kEmbedding;
}
/// Axes of more than one element.
int64_t wide_axes(const Tensor& elements);

}  // namespace lapidary
