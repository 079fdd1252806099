#include "src/passes/precision.h"

#include "src/ops/opdef.h"

namespace lapidary {

bool is_quantized_model(const Graph& graph, std::string* where) {
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    const OpDef* def = find_op(node.domain, node.op);
    if (def == nullptr || def->role != QuantRole::kInteger) continue;
    if (where) *where = node_label(graph, id);
    return true;
  }
  return false;
}

bool has_half_weights(const Graph& graph, std::string* where) {
  for (const ValueId id : graph.values()) {
    const Tensor* constant = graph.constant(id);
    if (constant == nullptr || constant->size() < 2 ||
        (constant->dtype() != DType::kF16 && constant->dtype() != DType::kBF16))
      continue;
    if (where) *where = graph.value(id).name;
    return true;
  }
  return false;
}

}  // namespace lapidary
