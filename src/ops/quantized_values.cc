#include "src/ops/quantized_values.h"

namespace lapidary {

namespace {

/// The output of the first node of that op, in the graph's order, whose first input is the value.
ValueId made_by(const Graph& graph, ValueId value, std::string_view op,
                std::string_view domain = "") {
  ValueId out;
  NodeId first;
  for (const Use& use : graph.value(value).uses) {
    if (use.capture || use.slot != 0 || !graph.node(use.node).is(op, domain)) continue;
    if (first && first < use.node) continue;
    first = use.node;
    out = graph.node(use.node).outputs[0];
  }
  return out;
}

}  // namespace

bool is_quantizer(const Node& node) {
  return node.is("FakeQuantize", "ai.lapidary") || node.is("QuantizeLinear") ||
         node.is("DequantizeLinear");
}

ValueId as_quantized(const Graph& graph, ValueId value) {
  if (graph.is_output(value)) return value;
  if (const ValueId fake = made_by(graph, value, "FakeQuantize", "ai.lapidary")) return fake;
  ValueId integers = made_by(graph, value, "QuantizeLinear");
  if (!integers) return value;
  if (const ValueId clipped = made_by(graph, integers, "Clip")) integers = clipped;
  const ValueId real = made_by(graph, integers, "DequantizeLinear");
  return real ? real : value;
}

ValueId before_function(const Graph& graph, ValueId value,
                        std::span<const std::string_view> functions) {
  for (ValueId at = value; graph.value(at).producer;) {
    const Node& node = graph.node(graph.value(at).producer);
    at = node.inputs.empty() ? ValueId{} : node.inputs[0];
    if (!at) break;
    for (const std::string_view function : functions)
      if (node.is(function)) return at;
    if (!is_quantizer(node) && !node.is("Identity")) break;
  }
  return value;
}

}  // namespace lapidary
