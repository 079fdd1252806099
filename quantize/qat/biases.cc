#include "quantize/qat/biases.h"

#include <optional>

#include "quantize/placement.h"
#include "quantize/qat/fake_nodes.h"
#include "src/ops/fake_quantize.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"

namespace lapidary {

namespace {

/// Where a layer's bias is read, and the BatchNormalization whose shift it is.
struct BiasPlace {
  NodeId reader;
  size_t slot = 0;
  bool normalized = false;
};

std::optional<BiasPlace> bias_place(const Graph& graph, NodeId layer, int64_t channels) {
  const ValueId out = output_of(graph, layer);
  const NodeId next = only_user(graph, out);
  if (next.valid() && is_op(graph, next, "BatchNormalization")) return BiasPlace{next, 2, true};
  if (!is_op(graph, layer, "MatMul")) return BiasPlace{layer, 2};
  const int slot = bias_slot(graph, next, out, channels);
  if (slot < 0) return std::nullopt;
  return BiasPlace{next, static_cast<size_t>(slot)};
}

bool is_vector(const Graph& graph, ValueId id, int64_t channels) {
  const Tensor* constant = id.valid() ? graph.constant(id) : nullptr;
  return constant && constant->dtype() == DType::kF32 && constant->shape() == Shape{channels};
}

void fake_bias(Graph& graph, NodeId layer, const std::function<bool(ValueId)>& kept) {
  const WeightSlot at = weight_slot(graph, layer);
  if (at.slot != 1) return;
  const ValueId weight = graph.node(layer).inputs[1];
  const auto input = faked(graph, graph.node(layer).inputs[0]);
  const auto by = weight_fake(graph, weight);
  if (!input || !by || input->axis >= 0) return;
  const ValueId w = trained_constant(graph, by->x);
  const int64_t channels = graph.constant(w)->dim(at.axis);
  const auto place = bias_place(graph, layer, channels);
  if (!place) return;
  const ValueId bias = input_of(graph, place->reader, place->slot);
  if (!is_vector(graph, bias, channels) || !kept(bias)) return;
  Node node;
  node.domain = std::string(kOwnDomain);
  node.op = "FakeQuantizeBias";
  node.inputs = {bias, input->scale, by->scale};
  if (place->normalized) {
    for (const size_t slot : {1, 3, 4})
      node.inputs.push_back(graph.node(place->reader).inputs[slot]);
    if (const ValueId own = input_of(graph, layer, 2); own.valid()) node.inputs.push_back(own);
    for (size_t i = 3; i < node.inputs.size(); ++i)
      if (!is_vector(graph, node.inputs[i], channels)) return;
    node.attrs = {{"epsilon", float_attr(graph, place->reader, "epsilon", 1e-5f)}};
    if (weight != by->output) node.attrs.emplace_back("folded_scale", int64_t{1});
  }
  const std::string name = graph.unique_name(graph.value(bias).name + "_fake_quantized");
  node.name = name;
  node.outputs = {graph.add_value(name, graph.value(bias).type)};
  const ValueId out = node.outputs[0];
  graph.add_node(std::move(node), place->reader);
  graph.set_input(place->reader, place->slot, out);
}

}  // namespace

void fake_biases(Graph& graph, const std::function<bool(ValueId)>& kept) {
  for (const NodeId id : graph.nodes()) fake_bias(graph, id, kept);
}

void take_biases(Graph& graph) {
  for (const NodeId id : graph.nodes()) {
    if (!graph.node(id).is("FakeQuantizeBias", kOwnDomain)) continue;
    graph.replace_uses(output_of(graph, id), graph.node(id).inputs[0]);
    drop_node(graph, id);
  }
}

}  // namespace lapidary
