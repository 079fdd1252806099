#include "src/passes/channel_affine.h"

#include <cmath>

#include "src/base/fail.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

const Tensor* float_constant(const Graph& graph, ValueId value) {
  const Tensor* t = graph.constant(value);
  return t && t->dtype() == DType::kF32 && !graph.value(value).quant ? t : nullptr;
}

// Index of the output channel that a weight element belongs to.
struct ChannelIndex {
  int64_t inner = 1, count = 1;               // elements behind the channel axis, size of that axis
  int64_t group_rows = 0, group_columns = 0;  // ConvTranspose: rows of a group, its output channels

  int64_t operator()(int64_t i) const {
    const int64_t c = i / inner % count;
    if (group_rows == 0) return c;
    return i / (inner * count) / group_rows * group_columns + c;
  }
};

ChannelIndex channel_index(const Graph& graph, NodeId node, const Tensor& weight) {
  ChannelIndex index;
  int64_t axis = 0;
  if (is_op(graph, node, "ConvTranspose")) axis = 1;
  if (is_op(graph, node, "Gemm")) axis = int_attr(graph, node, "transB", 0) != 0 ? 0 : 1;
  index.count = weight.dim(axis);
  for (int64_t i = axis + 1; i < weight.rank(); ++i) index.inner *= weight.dim(i);
  if (is_op(graph, node, "ConvTranspose")) {
    index.group_rows = weight.dim(0) / int_attr(graph, node, "group", 1);
    index.group_columns = weight.dim(1);
  }
  return index;
}

}  // namespace

ValueId own_constant(Graph& graph, NodeId node, size_t slot) {
  const ValueId id = graph.node(node).inputs.at(slot);
  if (graph.use_count(id) == 1 && !graph.is_input(id)) return id;
  const ValueId copy = add_constant(graph, graph.value(id).name, *graph.constant(id));
  graph.set_input(node, slot, copy);
  return copy;
}

std::optional<LinearNode> linear_node(const Graph& graph, NodeId node) {
  const bool gemm = is_op(graph, node, "Gemm");
  const bool transposed = is_op(graph, node, "ConvTranspose");
  if (!gemm && !transposed && !is_op(graph, node, "Conv")) return std::nullopt;
  const Tensor* weight = float_constant(graph, input_of(graph, node, 1));
  if (weight == nullptr || graph.value(output_of(graph, node)).quant) return std::nullopt;
  if (gemm ? weight->rank() != 2 : weight->rank() < 3) return std::nullopt;
  LinearNode linear{node, 0};
  const int64_t group = int_attr(graph, node, "group", 1);
  if (group < 1 || weight->dim(0) % group != 0) return std::nullopt;
  linear.channels = transposed ? weight->dim(1) * group
                    : gemm     ? weight->dim(int_attr(graph, node, "transB", 0) != 0 ? 0 : 1)
                               : weight->dim(0);
  if (const ValueId bias = input_of(graph, node, 2)) {
    const Tensor* b = float_constant(graph, bias);
    // A Gemm's C may be a matrix, or one number for all.
    if (b == nullptr || b->size() != linear.channels || b->dim(-1) != linear.channels)
      return std::nullopt;
  }
  return linear;
}

bool scale_and_shift(Graph& graph, const LinearNode& linear, const std::vector<double>& scale,
                     const std::vector<double>& shift) {
  const NodeId node = linear.node;
  LAPIDARY_CHECK(static_cast<int64_t>(scale.size()) == linear.channels &&
                 shift.size() == scale.size());
  const Tensor& old_weight = *graph.constant(graph.node(node).inputs[1]);
  const ChannelIndex channel = channel_index(graph, node, old_weight);
  Tensor weight(DType::kF32, old_weight.shape());
  bool finite = true;
  const auto from = old_weight.data<float>();
  const auto to = weight.mutable_data<float>();
  for (size_t i = 0; i < to.size(); ++i) {
    to[i] =
        static_cast<float>(scale[static_cast<size_t>(channel(static_cast<int64_t>(i)))] * from[i]);
    finite = finite && (std::isfinite(to[i]) || !std::isfinite(from[i]));
  }
  const ValueId old_bias = input_of(graph, node, 2);
  const double beta = is_op(graph, node, "Gemm") ? float_attr(graph, node, "beta", 1.0f) : 1.0;
  Tensor bias(DType::kF32, old_bias ? graph.constant(old_bias)->shape() : Shape{linear.channels});
  const auto b = bias.mutable_data<float>();
  for (size_t c = 0; c < b.size(); ++c) {
    const double was = old_bias ? beta * graph.constant(old_bias)->data<float>()[c] : 0.0;
    b[c] = static_cast<float>(scale[c] * was + shift[c]);
    finite = finite && (std::isfinite(b[c]) || !std::isfinite(was));
  }
  if (!finite) return false;

  graph.mutable_value(own_constant(graph, node, 1)).constant = std::move(weight);
  if (old_bias) {
    graph.mutable_value(own_constant(graph, node, 2)).constant = std::move(bias);
  } else {
    graph.set_input(node, 2, add_constant(graph, node_key(graph, node) + "_bias", std::move(bias)));
  }
  graph.erase_attr(node, "beta");
  return true;
}

}  // namespace lapidary
