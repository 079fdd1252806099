#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/norm.h"
#include "src/ops/rewrite.h"

// Normalisation inside one sample: over each channel (InstanceNormalization) or over groups of
// channels (GroupNormalization), then scaled and shifted per channel.

namespace lapidary {

namespace {

void infer_instance_norm(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  const Dim channels = channels_of(context, 3);
  check_per_channel(context, 1, channels);
  check_per_channel(context, 2, channels);
  context.set_type(0, context.type(0));
}

/// Scale and bias have one element per group in version 18, per channel since 21.
void infer_group_norm(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  const Dim channels = channels_of(context, 3);
  const int64_t groups = context.attrs().get_int("num_groups", 1);
  if (groups < 1) fail_invalid("num_groups is {}, expected 1 or more", groups);
  if (channels.known() && channels.value % groups != 0)
    fail_invalid("num_groups {} does not divide {} channels", groups, channels.value);
  const Dim listed = context.version() < 21 ? Dim(groups) : channels;
  check_per_channel(context, 1, listed);
  check_per_channel(context, 2, listed);
  context.set_type(0, context.type(0));
}

void normalize_groups(EvalContext& context, int64_t groups, bool per_group_scale) {
  const Tensor& x = context.input(0);
  const double epsilon = context.attrs().get_float("epsilon", 1e-5f);
  const std::vector<double> scale = read_as<double>(context.input(1));
  const std::vector<double> bias = read_as<double>(context.input(2));
  std::vector<double> values = read_as<double>(x);
  const int64_t channels = x.dim(1), group = channels / groups;
  const int64_t area = element_count(std::span(x.shape()).subspan(2));
  for (int64_t g = 0; g < x.dim(0) * groups; ++g) {
    const std::span block(values.data() + g * group * area, static_cast<size_t>(group * area));
    const Moments m = moments(block);
    const double inverse = 1 / std::sqrt(m.variance + epsilon);
    for (size_t i = 0; i < block.size(); ++i) {
      const int64_t channel = g % groups * group + static_cast<int64_t>(i) / area;
      const auto at = static_cast<size_t>(per_group_scale ? g % groups : channel);
      block[i] = (block[i] - m.mean) * inverse * scale[at] + bias[at];
    }
  }
  context.set_output(0, make_from(x.dtype(), x.shape(), values));
}

void evaluate_instance_norm(EvalContext& context) {
  normalize_groups(context, context.input(0).dim(1), false);
}

void evaluate_group_norm(EvalContext& context) {
  normalize_groups(context, context.attrs().get_int("num_groups", 1), context.version() < 21);
}

void lossy_area(AxisFlow& flow) {
  for (int64_t i = 2; i < flow.input_rank(0); ++i)
    flow.lossy(flow.input(0, i), "statistics of a channel");
}

void instance_norm_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  for (size_t i : {1u, 2u}) tie_parameter(flow, i, flow.input(0, 1));
  lossy_area(flow);
}

/// Channels are [groups * c]: all groups lose the same ones of their c.
void group_norm_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  lossy_area(flow);
  const int64_t groups = flow.attrs().get_int("num_groups", 1);
  const AxisRef channels = flow.input(0, 1);
  if (flow.size(channels) < 0) return flow.freeze(channels, "its size is not known");
  const AxisRef group = flow.local(groups), within = flow.local(flow.size(channels) / groups);
  flow.multiply(channels, {group, within});
  flow.freeze(group, "groups of a normalization");
  flow.lossy(within, "statistics of a group");
  for (size_t i : {1u, 2u}) tie_parameter(flow, i, flow.version() < 21 ? group : channels);
}

/// Per-group scales and biases are repeated for the group's channels.
void upgrade_group_norm(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const auto shape = graph.value(node.inputs[0]).type.shape;  // adding values moves them
  const int64_t groups = AttrView(node, 18).get_int("num_groups", 1);
  if (!shape || !(*shape)[1].known())
    fail_unsupported("{}: version 21 needs the number of channels, which is not known",
                     node_label(graph, id));
  for (size_t slot : {1u, 2u}) {
    const Tensor* old = graph.constant(node.inputs[slot]);
    if (old == nullptr)
      fail_unsupported("{}: input {} is no constant", node_label(graph, id), slot);
    const std::vector<double> from = read_as<double>(*old);
    const int64_t channels = (*shape)[1].value, group = channels / groups;
    std::vector<double> to;
    for (int64_t c = 0; c < channels; ++c) to.push_back(from[static_cast<size_t>(c / group)]);
    const Tensor repeated = make_from(old->dtype(), {channels}, to);
    graph.set_input(id, slot, Rewrite(graph, id).constant(slot == 1 ? "scale" : "bias", repeated));
  }
}

}  // namespace

const OpDef& op_InstanceNormalization() {
  static const OpDef def{.name = "InstanceNormalization",
                         .versions = {6, 22},
                         .inputs = {3, 3},
                         .outputs = {1, 1},
                         .attrs = {{"epsilon", AttrKind::kFloat}},
                         .infer = infer_instance_norm,
                         .evaluate = evaluate_instance_norm,
                         .axes = instance_norm_axes};
  return def;
}

const OpDef& op_GroupNormalization() {
  static const OpDef def{.name = "GroupNormalization",
                         .versions = {18, 21},
                         .inputs = {3, 3},
                         .outputs = {1, 1},
                         .attrs = {{"epsilon", AttrKind::kFloat},
                                   {"num_groups", AttrKind::kInt, true},
                                   {.name = "stash_type", .kind = AttrKind::kInt, .since = 21}},
                         .infer = infer_group_norm,
                         .evaluate = evaluate_group_norm,
                         .axes = group_norm_axes,
                         .upgrades = {{21, upgrade_group_norm}}};
  return def;
}

}  // namespace lapidary
