#include "quantize/qat/biases.h"

#include "quantize/qat/fake_nodes.h"
#include "src/ops/fake_quantize.h"
#include "src/passes/edit.h"

namespace lapidary {

void fake_bias(Graph& graph, const IntegerBias& at) {
  const ValueId weight = graph.node(at.layer).inputs[1];
  const auto input = faked(graph, graph.node(at.layer).inputs[0]);
  const auto by = weight_fake(graph, weight);
  const ValueId bias = input_of(graph, at.reader, at.slot);
  const Tensor* elements = bias.valid() ? graph.constant(bias) : nullptr;
  if (!input || !by || input->axis >= 0 || !elements || elements->dtype() != DType::kF32) return;
  const int64_t scales = graph.constant(by->scale)->size();
  if (scales != 1 && scales != elements->size()) return;
  Node node;
  node.domain = std::string(kOwnDomain);
  node.op = "FakeQuantizeBias";
  node.inputs = {bias, input->scale, by->scale};
  if (at.norm.valid()) {
    for (const size_t slot : {1, 3, 4}) node.inputs.push_back(graph.node(at.norm).inputs[slot]);
    if (const ValueId own = input_of(graph, at.layer, 2); own.valid()) node.inputs.push_back(own);
    node.attrs = {{"epsilon", float_attr(graph, at.norm, "epsilon", 1e-5f)}};
    if (weight != by->output) node.attrs.emplace_back("folded_scale", int64_t{1});
  }
  const std::string name = graph.unique_name(graph.value(bias).name + "_fake_quantized");
  node.name = name;
  node.outputs = {graph.add_value(name, graph.value(bias).type)};
  const ValueId out = node.outputs[0];
  graph.add_node(std::move(node), at.reader);
  graph.set_input(at.reader, at.slot, out);
}

void take_biases(Graph& graph) {
  for (const NodeId id : graph.nodes()) {
    if (!graph.node(id).is("FakeQuantizeBias", kOwnDomain)) continue;
    graph.replace_uses(output_of(graph, id), graph.node(id).inputs[0]);
    drop_node(graph, id);
  }
}

}  // namespace lapidary
