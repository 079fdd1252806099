#include "src/ops/axis_flow.h"
#include "src/ops/before_7.h"
#include "src/ops/elements.h"
#include "src/ops/rewrite.h"

namespace lapidary {

namespace {

void evaluate_identity(EvalContext& context) { context.set_output(0, context.input(0)); }

// -- Dropout as it is when nobody trains: y = x, mask = all true

void infer_dropout(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  if (context.version() < 12) context.require_inputs(1);
  constexpr std::array kBool{DType::kBool};
  context.require_dtype(1, kFloatDTypes);
  context.require_dtype(2, kBool);
  context.require_rank(1, 0, 0);
  context.require_rank(2, 0, 0);
  context.set_type(0, context.type(0));
  TensorType mask = context.type(0);
  if (context.version() >= 10) mask.dtype = DType::kBool;
  context.set_type(1, std::move(mask));
}

void evaluate_dropout(EvalContext& context) {
  const Tensor& x = context.input(0);
  if (context.has_input(2) && context.input(2).data<bool>()[0]) {
    const double ratio = context.has_input(1) ? read_as<double>(context.input(1))[0] : 0.5;
    if (ratio != 0) fail_unsupported("training_mode with ratio {} is random", ratio);
  }
  context.set_output(0, x);
  if (!context.wants_output(1)) return;
  const std::vector<float> ones(static_cast<size_t>(x.size()), 1);
  if (context.version() < 10) return context.set_output(1, make_from(x.dtype(), x.shape(), ones));
  Tensor mask(DType::kBool, x.shape());
  std::ranges::fill(mask.mutable_data<bool>(), true);
  context.set_output(1, std::move(mask));
}

/// x, y, mask
void dropout_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  tie_same(flow, 0, 1);
}

/// The mask's type changes from x's to bool.
void upgrade_to_10(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.outputs.size() > 1 && node.outputs[1] && graph.use_count(node.outputs[1]) > 0)
    fail_unsupported("{}: its mask is used, and changes its type in version 10",
                     node_label(graph, id));
}

/// `ratio` becomes an input.
void upgrade_to_12(Graph& graph, NodeId id) {
  const Attr* ratio = graph.node(id).attr("ratio");
  if (ratio == nullptr) return;
  const Tensor value = Tensor::scalar(std::get<float>(*ratio));
  graph.erase_attr(id, "ratio");
  graph.set_input(id, 1, Rewrite(graph, id).constant("ratio", value));
}

}  // namespace

const OpDef& op_Identity() {
  static const OpDef def{.name = "Identity",
                         .versions = {1, 13, 14, 16, 19, 21, 23, 24, 25},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .infer = infer_same,
                         .evaluate = evaluate_identity,
                         .axes = tie_elementwise,
                         .role = QuantRole::kPassThrough};
  return def;
}

const OpDef& op_Dropout() {
  static const OpDef def{
      .name = "Dropout",
      .versions = {7, 10, 12, 13, 22},
      .inputs = {1, 3},
      .outputs = {1, 2},
      .attrs = {{.name = "ratio", .kind = AttrKind::kFloat, .until = 11},
                {.name = "seed", .kind = AttrKind::kInt, .since = 12}},
      .infer = infer_dropout,
      .evaluate = evaluate_dropout,
      .axes = dropout_axes,
      .role = QuantRole::kPassThrough,
      .upgrades = {{7, drop_old_attributes}, {10, upgrade_to_10}, {12, upgrade_to_12}}};
  return def;
}

}  // namespace lapidary
