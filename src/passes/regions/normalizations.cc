#include <algorithm>
#include <cmath>

#include "src/passes/regions/match.h"

namespace lapidary {

namespace {

bool is_near(float value, float wanted) {
  return std::abs(value - wanted) <= 1e-4f * std::abs(wanted);
}

bool is_constant_near(const Graph& graph, ValueId value, float wanted) {
  const auto scalar = value ? constant_scalar(graph, value) : std::nullopt;
  return scalar && is_near(*scalar, wanted);
}

// v of v^2, written as Pow(v, 2) or Mul(v, v).
ValueId squared(const Graph& graph, ValueId square, std::vector<NodeId>& nodes) {
  const NodeId made_by = graph.value(square).producer;
  if (!made_by) return {};
  const auto& in = graph.node(made_by).inputs;
  const bool pow = is_op(graph, made_by, "Pow") && is_constant_near(graph, in[1], 2);
  const bool mul = is_op(graph, made_by, "Mul") && in[0] == in[1];
  if (!pow && !mul) return {};
  nodes.push_back(made_by);
  return in[0];
}

// mean(v^2) + epsilon, whose root is taken.
struct Spread {
  ValueId centred;
  float epsilon = 0;
  std::vector<int64_t> axes;
};

std::optional<Spread> match_spread(const Graph& graph, ValueId under_root,
                                   std::vector<NodeId>& nodes) {
  Spread spread;
  if (const NodeId add = producer_of(graph, under_root, "Add")) {
    const auto& in = graph.node(add).inputs;
    const size_t slot = constant_scalar(graph, in[0]) ? 0 : 1;
    const auto epsilon = constant_scalar(graph, in[slot]);
    if (!epsilon) return std::nullopt;
    spread.epsilon = *epsilon;
    under_root = in[1 - slot];
    nodes.push_back(add);
  }
  const NodeId mean = producer_of(graph, under_root, "ReduceMean");
  const auto axes = mean ? kept_axes(graph, mean) : std::nullopt;
  if (!axes) return std::nullopt;
  nodes.push_back(mean);
  spread.axes = *axes;
  spread.centred = squared(graph, graph.node(mean).inputs[0], nodes);
  if (!spread.centred) return std::nullopt;
  return spread;
}

// What v / root is called in the graph: Div(v, root), or Mul(v, 1 / root).
ValueId match_quotient(const Graph& graph, ValueId root, ValueId v, bool inverted,
                       std::vector<NodeId>& nodes) {
  NodeId user = only_user(graph, root);
  if (!user) return {};
  if (!inverted && is_op(graph, user, "Div") && graph.node(user).inputs[0] == v) {
    nodes.push_back(user);
    return output_of(graph, user);
  }
  const bool inverts = is_op(graph, user, "Reciprocal") ||
                       (is_op(graph, user, "Div") && graph.node(user).inputs[1] == root &&
                        is_constant_near(graph, graph.node(user).inputs[0], 1));
  if (!inverted && inverts) {
    nodes.push_back(user);
    return match_quotient(graph, output_of(graph, user), v, true, nodes);
  }
  if (!inverted || !is_op(graph, user, "Mul") || other_operand(graph, user, root) != v) return {};
  nodes.push_back(user);
  return output_of(graph, user);
}

// A constant that `op` combines with the value, which only it reads; the value moves on.
ValueId match_parameter(const Graph& graph, std::string_view op, ValueId& value,
                        std::vector<NodeId>& nodes) {
  const NodeId user = only_user(graph, value);
  if (!user || !is_op(graph, user, op)) return {};
  const ValueId parameter = other_operand(graph, user, value);
  if (!parameter || graph.constant(parameter) == nullptr) return {};
  nodes.push_back(user);
  value = output_of(graph, user);
  return parameter;
}

// x of Sub(x, mean(x)) along the same axes.
ValueId match_centring(const Graph& graph, const Spread& spread, std::vector<NodeId>& nodes) {
  const NodeId sub = producer_of(graph, spread.centred, "Sub");
  if (!sub) return {};
  const ValueId x = graph.node(sub).inputs[0];
  const NodeId mean = producer_of(graph, graph.node(sub).inputs[1], "ReduceMean");
  if (!mean || graph.node(mean).inputs[0] != x || kept_axes(graph, mean) != spread.axes) return {};
  nodes.push_back(sub);
  nodes.push_back(mean);
  return x;
}

std::optional<Region> match_at_root(const Graph& graph, NodeId root) {
  const bool inverse_root =
      is_op(graph, root, "Pow") && is_constant_near(graph, input_of(graph, root, 1), -0.5f);
  if (!is_op(graph, root, "Sqrt") && !inverse_root) return std::nullopt;
  Region region;
  region.nodes = {root};
  const auto spread = match_spread(graph, graph.node(root).inputs[0], region.nodes);
  if (!spread) return std::nullopt;
  region.epsilon = spread->epsilon;
  region.axes = spread->axes;
  region.output =
      match_quotient(graph, output_of(graph, root), spread->centred, inverse_root, region.nodes);
  if (!region.output) return std::nullopt;
  const ValueId x = match_centring(graph, *spread, region.nodes);
  region.kind = x ? RegionKind::kLayerNorm : RegionKind::kRmsNorm;
  region.inputs = {x ? x : spread->centred};
  region.scale = match_parameter(graph, "Mul", region.output, region.nodes);
  if (x && region.scale) region.bias = match_parameter(graph, "Add", region.output, region.nodes);
  return region;
}

std::optional<Region> match_node(const Graph& graph, NodeId id) {
  const bool layer = is_op(graph, id, "LayerNormalization");
  if (!layer && !is_op(graph, id, "RMSNormalization")) return std::nullopt;
  const ValueId x = graph.node(id).inputs.at(0);
  Region region;
  region.kind = layer ? RegionKind::kLayerNorm : RegionKind::kRmsNorm;
  region.nodes = {id};
  region.inputs = {x};
  region.output = output_of(graph, id);
  region.scale = input_of(graph, id, 1);
  region.bias = input_of(graph, id, 2);
  region.epsilon = float_attr(graph, id, "epsilon", 1e-5f);
  const int64_t rank = rank_of(graph, x), axis = int_attr(graph, id, "axis", -1);
  if (rank < 0) {
    region.axes = {axis};
  } else {
    for (int64_t a = wrap_axis(axis, rank); a < rank; ++a) region.axes.push_back(a);
  }
  return region;
}

}  // namespace

std::optional<std::vector<int64_t>> kept_axes(const Graph& graph, NodeId reduction) {
  if (int_attr(graph, reduction, "keepdims", 1) == 0) return std::nullopt;
  std::vector<int64_t> axes = ints_attr(graph, reduction, "axes");
  if (const ValueId input = input_of(graph, reduction, 1)) {
    const auto constant = constant_ints(graph, input);
    if (!constant) return std::nullopt;
    axes = *constant;
  }
  const int64_t rank = rank_of(graph, graph.node(reduction).inputs[0]);
  if (rank >= 0)
    for (int64_t& axis : axes) axis = wrap_axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  return axes;
}

void find_normalizations(const Graph& graph, std::set<NodeId>& taken,
                         std::vector<Region>& regions) {
  for (NodeId id : graph.nodes()) {
    auto region = match_at_root(graph, id);
    if (!region) region = match_node(graph, id);
    if (region) take_region(graph, std::move(*region), taken, regions);
  }
}

}  // namespace lapidary
