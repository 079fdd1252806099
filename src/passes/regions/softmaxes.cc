#include <algorithm>

#include "src/passes/regions/match.h"

namespace lapidary {

namespace {

// Softmax(x), or Exp(x - max(x)) / sum(Exp(x - max(x))).
std::optional<Region> match_softmax(const Graph& graph, NodeId id) {
  Region region;
  region.kind = RegionKind::kSoftmax;
  region.output = output_of(graph, id);
  region.nodes = {id};
  if (is_op(graph, id, "Softmax")) {
    const ValueId x = graph.node(id).inputs.at(0);
    const int64_t rank = rank_of(graph, x);
    const int64_t axis = int_attr(graph, id, "axis", graph.opset() >= 13 ? -1 : 1);
    region.inputs = {x};
    region.axes = {rank >= 0 ? wrap_axis(axis, rank) : axis};
    return region;
  }
  if (!is_op(graph, id, "Div")) return std::nullopt;
  const ValueId numerator = graph.node(id).inputs[0];
  const NodeId exp = producer_of(graph, numerator, "Exp");
  const NodeId sum = producer_of(graph, graph.node(id).inputs[1], "ReduceSum");
  if (!exp || !sum || graph.node(sum).inputs[0] != numerator) return std::nullopt;
  const auto axes = kept_axes(graph, sum);
  const NodeId sub = producer_of(graph, graph.node(exp).inputs[0], "Sub");
  if (!axes || !sub) return std::nullopt;
  const ValueId x = graph.node(sub).inputs[0];
  const NodeId max = producer_of(graph, graph.node(sub).inputs[1], "ReduceMax");
  if (!max || graph.node(max).inputs[0] != x || kept_axes(graph, max) != axes) return std::nullopt;
  region.nodes.insert(region.nodes.end(), {exp, sum, sub, max});
  region.inputs = {x};
  region.axes = *axes;
  return region;
}

// The product that makes the value, on floats or on integers with a float result.
NodeId product_of(const Graph& graph, ValueId value) {
  if (const NodeId matmul = producer_of(graph, value, "MatMul")) return matmul;
  const NodeId made = graph.value(value).producer;
  return made && graph.node(made).is("MatMulIntegerToFloat", "com.microsoft") ? made : NodeId();
}

bool only_feeds_matmul(const Graph& graph, ValueId value) {
  const NodeId user = only_user(graph, value);
  if (!user || is_op(graph, user, "MatMul")) return user.valid();
  const NodeId product =
      is_op(graph, user, "QuantizeLinear") ? only_user(graph, output_of(graph, user)) : NodeId();
  return product && graph.node(product).is("QLinearMatMul");
}

// Softmax's input before the mask and the factor, where a MatMul made it.
void widen_to_attention(const Graph& graph, Region& region) {
  Region wide = region;
  ValueId x = region.inputs[0];
  ValueId mask;
  const auto scale = [&] {
    const NodeId mul = producer_of(graph, x, "Mul"), div = producer_of(graph, x, "Div");
    const NodeId node = mul ? mul : div;
    if (!node) return;
    const auto& in = graph.node(node).inputs;
    const size_t slot = mul && constant_scalar(graph, in[0]) ? 0 : 1;
    const auto factor = constant_scalar(graph, in[slot]);
    if (!factor || (div && *factor == 0)) return;
    wide.factor *= mul ? *factor : 1 / *factor;
    wide.nodes.push_back(node);
    x = in[1 - slot];
  };
  scale();
  if (const NodeId add = producer_of(graph, x, "Add"); add && wide.factor == 1) {
    for (size_t slot = 0; slot < 2 && !mask; ++slot) {
      const ValueId scores = graph.node(add).inputs[slot];
      if (!product_of(graph, scores) && !producer_of(graph, scores, "Mul") &&
          !producer_of(graph, scores, "Div"))
        continue;
      mask = graph.node(add).inputs[1 - slot];
      x = scores;
    }
    if (mask) wide.nodes.push_back(add);
    scale();
  }
  if (!product_of(graph, x) || !only_feeds_matmul(graph, region.output) ||
      !is_closed(graph, wide.nodes, wide.output))
    return;
  wide.kind = RegionKind::kAttentionSoftmax;
  wide.inputs = {x};
  if (mask) wide.inputs.push_back(mask);
  region = std::move(wide);
}

}  // namespace

void find_softmaxes(const Graph& graph, std::set<NodeId>& taken, std::vector<Region>& regions) {
  for (NodeId id : graph.nodes()) {
    auto region = match_softmax(graph, id);
    if (!region) continue;
    widen_to_attention(graph, *region);
    take_region(graph, std::move(*region), taken, regions);
  }
}

}  // namespace lapidary
