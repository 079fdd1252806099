#include "quantize/ptq/subgraph.h"

#include <unordered_map>

namespace lapidary {

Graph extract_subgraph(const Graph& graph, const std::vector<NodeId>& nodes,
                       const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs) {
  Graph out;
  out.opsets = graph.opsets;
  out.model.ir_version = graph.model.ir_version;
  out.model.functions = graph.model.functions;
  std::unordered_map<uint32_t, ValueId> made;
  const auto value = [&](ValueId id) {
    if (!id.valid()) return ValueId{};
    const auto at = made.find(id.index);
    if (at != made.end()) return at->second;
    const Value& from = graph.value(id);
    const ValueId to = from.constant ? out.add_constant(from.name, *from.constant)
                                     : out.add_value(from.name, from.type);
    made.emplace(id.index, to);
    return to;
  };
  const auto values = [&](const std::vector<ValueId>& ids) {
    std::vector<ValueId> list;
    for (const ValueId id : ids) list.push_back(value(id));
    return list;
  };
  out.set_inputs(values(inputs));
  for (const NodeId id : nodes) {
    Node node = graph.node(id);
    node.inputs = values(node.inputs);
    node.outputs = values(node.outputs);
    for (Capture& capture : node.captures) capture.outer = value(capture.outer);
    out.add_node(std::move(node));
  }
  out.set_outputs(values(outputs));
  return out;
}

}  // namespace lapidary
