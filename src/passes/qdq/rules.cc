#include "src/passes/qdq/rules.h"

#include <cmath>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

constexpr LoweringRow kRows[] = {
    {"Add", 1, lower_binary},
    {"ArgMax", 1, lower_argmax},
    {"AveragePool", 1, lower_unary},
    {"Concat", 1, lower_concat},
    {"Conv", 1, lower_conv},
    {"Expand", 1, lower_mover},
    {"Flatten", 1, lower_mover},
    {"Gather", 1, lower_mover},
    {"GatherElements", 1, lower_mover},
    {"Gemm", 1, lower_gemm},
    {"GlobalAveragePool", 1, lower_unary},
    {"LeakyRelu", 1, lower_unary},
    {"MatMul", 1, lower_matmul},
    {"MaxPool", 12, lower_extremum},
    {"Mul", 1, lower_binary},
    {"ReduceMax", 1, lower_extremum},
    {"ReduceMin", 1, lower_extremum},
    {"Reshape", 1, lower_mover},
    {"Resize", 1, lower_resize},
    {"Sigmoid", 1, lower_unary},
    {"Slice", 1, lower_mover},
    {"Softmax", 1, lower_unary},
    {"Split", 1, lower_split},
    {"Squeeze", 1, lower_mover},
    {"Tile", 1, lower_mover},
    {"Transpose", 1, lower_mover},
    {"Unsqueeze", 1, lower_mover},
};

}  // namespace

const LoweringRow* find_lowering(std::string_view op) {
  for (const LoweringRow& row : kRows)
    if (row.op == op) return &row;
  return nullptr;
}

std::string check_8bit(const QdqNode& qdq, std::string_view what) {
  if (qdq.storage == DType::kU8 || qdq.storage == DType::kI8) return {};
  return fmt::format("{} is {}; integer kernels take 8-bit types", what, dtype_name(qdq.storage));
}

std::string check_types(const QdqNode& activation, const QdqNode& weight,
                        const LoweringOptions& options) {
  if (auto bad = check_8bit(activation, "its input"); !bad.empty()) return bad;
  if (auto bad = check_8bit(weight, "its weight"); !bad.empty()) return bad;
  if (activation.storage != DType::kI8) return {};
  if (!options.int8_activations) return "int8 activations are not allowed";
  return weight.storage == DType::kI8 ? "" : "an int8 input needs an int8 weight, found uint8";
}

std::string check_weight_scales(const Graph& graph, const QdqNode& weight, int64_t axis,
                                int64_t rank) {
  if (weight.one_scale(graph)) return {};
  if (weight.block_size > 0) return "its weight is quantized in blocks";
  if (rank_of(graph, weight.scale) != 1 && !(weight.scales && weight.scales->rank() == 1))
    return "the scales of its weight have no known count";
  if (rank >= 0 && wrap_axis(weight.axis, rank) != axis)
    return fmt::format(
        "the scales of its weight lie along axis {}, kernels take them along axis {}", weight.axis,
        axis);
  return {};
}

std::string bias_remark(const QdqNode& activation, const QdqNode& weight, const QdqNode& bias) {
  if (!activation.constant_scalar() || !weight.scales || !bias.scales) return {};
  const Tensor& ws = *weight.scales;
  const Tensor& bs = *bias.scales;
  if (ws.dtype() != DType::kF32 || bs.dtype() != DType::kF32 ||
      activation.scales->dtype() != DType::kF32)
    return {};
  const float xs = activation.scale_value();
  for (int64_t i = 0; i < std::max(ws.size(), bs.size()); ++i) {
    const float want = xs * ws.data<float>()[static_cast<size_t>(ws.size() == 1 ? 0 : i)];
    const float have = bs.data<float>()[static_cast<size_t>(bs.size() == 1 ? 0 : i)];
    if (ws.size() != 1 && bs.size() != 1 && ws.size() != bs.size()) break;
    if (std::abs(have - want) > 1e-3f * std::abs(want))
      return fmt::format(
          "the bias's scale is {} and is not read: {} = input scale x weight scale holds", have,
          want);
  }
  return {};
}

void replace_group(Graph& graph, const NodeGroup& group, Node node) {
  const ValueId was = output_of(graph, group.node);
  std::vector<ValueId> freed = graph.node(group.node).inputs;
  node.name = graph.node(group.node).name;
  node.outputs = {was};
  NodeId before = graph.next(group.node);
  if (!group.outputs.empty()) {
    const NodeId q = group.outputs[0].node;
    const auto& read = graph.node(q).inputs;
    freed.insert(freed.end(), read.begin() + 1, read.end());
    node.outputs = {group.outputs[0].output};
    before = graph.next(q);
    graph.remove_node(q);
  }
  graph.remove_node(group.node);
  graph.add_node(std::move(node), before);
  if (!group.outputs.empty()) drop_unused(graph, was);
  for (ValueId v : freed) drop_unused(graph, v);
}

}  // namespace lapidary
