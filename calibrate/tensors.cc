#include "calibrate/tensors.h"

#include <algorithm>
#include <unordered_set>

#include "src/ops/opdef.h"
#include "src/passes/edit.h"
#include "src/passes/regions.h"

namespace lapidary {

namespace {

bool is_compute(const Graph& graph, NodeId id) {
  const ResolvedOp op = resolve_op(graph, id);
  return op && op.def->role == QuantRole::kCompute;
}

bool is_float_activation(const Graph& graph, ValueId id) {
  return id.valid() && graph.value(id).type.dtype == DType::kF32 && !graph.constant(id);
}

/// Axis 1 beside convolutions and pools and for rank 2, else the last one.
int64_t channel_axis(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (!value.type.shape || value.type.shape->size() < 2) return -1;
  const auto rank = static_cast<int64_t>(value.type.shape->size());
  const auto spatial = [&](NodeId node) {
    static const std::unordered_set<std::string_view> kOps = {
        "Conv",          "ConvTranspose",     "MaxPool", "AveragePool", "GlobalAveragePool",
        "GlobalMaxPool", "BatchNormalization"};
    return node.valid() && kOps.contains(graph.node(node).op);
  };
  if (rank == 2) return 1;
  if (rank == 4 || spatial(value.producer)) return 1;
  for (const Use& use : value.uses)
    if (spatial(use.node)) return 1;
  return rank - 1;
}

}  // namespace

bool is_clamp(const Graph& graph, NodeId id) {
  if (!id.valid()) return false;
  const Node& node = graph.node(id);
  if (node.is("Relu")) return true;
  if (!node.is("Clip")) return false;
  for (size_t i = 1; i < node.inputs.size(); ++i)
    if (node.inputs[i].valid() && !graph.constant(node.inputs[i])) return false;
  return true;
}

std::vector<Watched> watched_tensors(const Graph& graph) {
  std::vector<Watched> list;
  std::unordered_set<uint32_t> listed;
  const auto add = [&](ValueId id) {
    if (!is_float_activation(graph, id) || is_clamp(graph, only_user(graph, id))) return;
    if (listed.insert(id.index).second) list.push_back({id, channel_axis(graph, id)});
  };
  std::unordered_set<uint32_t> inside;  // nodes whose inputs and outputs stay float
  for (const Region& region : find_regions(graph))
    if (is_uncuttable(region.kind))
      for (const NodeId id : region.nodes) inside.insert(id.index);
  for (const NodeId id : graph.nodes()) {
    if (inside.contains(id.index)) continue;
    const Node& node = graph.node(id);
    const bool clamp = is_clamp(graph, id);
    if (!clamp && !is_compute(graph, id)) continue;
    if (!clamp)
      for (const ValueId input : node.inputs) add(input);
    for (const ValueId output : node.outputs) add(output);
  }
  return list;
}

std::vector<WatchedNode> watched_nodes(const Graph& graph) {
  std::vector<WatchedNode> list;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (!node.is("Conv") && !node.is("Gemm") && !node.is("MatMul")) continue;
    if (node.inputs.size() < 2 || !is_float_activation(graph, node.inputs[0])) continue;
    const Tensor* weight = node.inputs[1].valid() ? graph.constant(node.inputs[1]) : nullptr;
    if (weight && weight->dtype() == DType::kF32) list.push_back({id, node.inputs[0]});
  }
  return list;
}

}  // namespace lapidary
