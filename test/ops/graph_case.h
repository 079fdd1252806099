#pragma once

#include <unordered_map>

#include "lapidary/ops.h"
#include "test/ops/op_case.h"

namespace lapidary {

/// Outputs of a graph of one input, node by node with the reference evaluation.
inline std::vector<Tensor> evaluate_graph(const Graph& graph, const Tensor& x) {
  std::unordered_map<uint32_t, Tensor> known{{graph.inputs()[0].index, x}};
  for (ValueId v : graph.values())
    if (const Tensor* constant = graph.constant(v)) known[v.index] = *constant;
  for (NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> inputs;
    for (ValueId v : node.inputs) inputs.push_back(v ? &known.at(v.index) : nullptr);
    const std::vector<Tensor> made = evaluate_node(graph, id, inputs);
    for (size_t i = 0; i < made.size(); ++i)
      if (node.outputs[i]) known[node.outputs[i].index] = made[i];
  }
  std::vector<Tensor> out;
  for (ValueId v : graph.outputs()) out.push_back(known.at(v.index));
  return out;
}

}  // namespace lapidary
