#pragma once

#include <optional>
#include <vector>

#include "kernels/conv_shape.h"
#include "kernels/eltwise_f32/eltwise_f32.h"
#include "src/exec/planner.h"

namespace lapidary::exec {

/// The window of a Conv or pooling node over [N,C,W] or [N,C,H,W], input and output shapes taken
/// from the graph; none for other ranks and for negative padding. `kernel` has one size per spatial
/// axis.
std::optional<kernels::ConvShape> window_shape(const PlanBuilder& b, NodeId id, ValueId x,
                                               ValueId y, std::vector<int64_t> kernel);

/// The element of a constant float tensor with one; `otherwise` where the value is absent; none
/// where it is not constant.
std::optional<float> scalar_float(const PlanBuilder& b, ValueId id, float otherwise);

/// The activation that a node is, where it is Relu, LeakyRelu or Clip with constant bounds on
/// floats.
std::optional<kernels::ActivationF32> activation_of(const PlanBuilder& b, NodeId id);

/// What follows a node and can be computed in its epilogue: activation(value + residual).
struct Tail {
  std::vector<NodeId> nodes;  ///< the node itself first
  ValueId output;             ///< what the last of them makes
  ValueId residual;           ///< none: no addition
  kernels::ActivationF32 activation;
};
/// Follows the only consumers of a node's output: an Add of an already computed value of the same
/// shape (where `residual`), then an activation.
Tail float_tail(const PlanBuilder& b, NodeId id, bool residual);

/// factor times a constant, one float per column of a product; empty where it is no float tensor of
/// one element or of `columns` along its last axis.
Tensor column_vector(const Tensor& tensor, int64_t columns, float factor);

/// `count` elements of a constant float tensor with 64 readable bytes behind them.
Tensor owned_floats(const Tensor& tensor);

inline std::span<char> bytes_of(Tensor& tensor) {
  return {static_cast<char*>(tensor.mutable_raw()), tensor.size_bytes()};
}

}  // namespace lapidary::exec
