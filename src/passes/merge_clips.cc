// Clip(Clip(x, a, b), c, d)  =>  Clip(x, clamp(a), clamp(b)) with clamp(v) = min(max(v, c), d)
// Relu is Clip(x, 0, +inf) here; Relu(Relu(x)) => Relu(x); Relu -> Clip becomes one Clip.
#include <algorithm>
#include <cmath>
#include <limits>

#include "src/passes/edit.h"
#include "src/passes/pass.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

bool merge(Graph& graph, NodeId second) {
  const auto outer = clamp_bounds(graph, second);
  if (!outer || std::isnan(outer->low) || std::isnan(outer->high)) return false;
  const ValueId between = graph.node(second).inputs.at(0);
  const NodeId first = graph.value(between).producer;
  const auto inner = first ? clamp_bounds(graph, first) : std::nullopt;
  // Float32 only: bounds of other types would have to be rounded first.
  if (!inner || graph.value(between).type.dtype != DType::kF32 ||
      only_user(graph, between) != second || graph.value(between).quant)
    return false;
  // min after max, in both: clamping a's result to [c, d] is clamping to [clamp(a), clamp(b)].
  const auto clamp = [&](float v) { return std::min(std::max(v, outer->low), outer->high); };
  const ClipBounds both{clamp(std::min(inner->low, inner->high)), clamp(inner->high)};
  const ValueId x = graph.node(first).inputs.at(0);
  const std::string name = graph.value(output_of(graph, second)).name;
  Node node;
  node.name = graph.node(second).name;
  node.inputs = {x};
  node.outputs = {output_of(graph, second)};
  node.op = both.low == 0 && both.high == kInf ? "Relu" : "Clip";
  if (node.op == "Clip" && graph.opset() < 11) {
    node.attrs = {{"min", std::max(both.low, std::numeric_limits<float>::lowest())},
                  {"max", std::min(both.high, std::numeric_limits<float>::max())}};
  } else if (node.op == "Clip") {
    const bool has_low = both.low != -kInf, has_high = both.high != kInf;
    node.inputs.push_back(has_low ? add_constant(graph, name + "_min", Tensor::scalar(both.low))
                                  : ValueId{});
    if (has_high)
      node.inputs.push_back(add_constant(graph, name + "_max", Tensor::scalar(both.high)));
  }
  const std::vector<ValueId> freed = graph.node(second).inputs;
  const NodeId before = graph.next(second);
  graph.remove_node(second);
  graph.add_node(std::move(node), before);
  for (ValueId v : freed) drop_unused(graph, v);
  return true;
}

}  // namespace

PassResult merge_clips(Graph& graph, const PassOptions&) {
  return {rewrite(graph,
                  [](Graph& g, NodeId id) {
                    return (is_op(g, id, "Clip") || is_op(g, id, "Relu")) && merge(g, id);
                  }),
          {}};
}

}  // namespace lapidary
