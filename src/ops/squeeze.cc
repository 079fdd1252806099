#include <algorithm>

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// Axes are an attribute before version 13, an input since.
bool axes_given(const InferContext& ctx) { return ctx.has_input(1) || ctx.attrs().has("axes"); }

std::optional<std::vector<int64_t>> stated_axes(const InferContext& ctx) {
  return ctx.has_input(1) ? ctx.ints(1) : std::optional(ctx.attrs().get_ints("axes"));
}

std::vector<int64_t> stated_axes(const EvalContext& ctx) {
  return ctx.has_input(1) ? ctx.ints(1) : ctx.attrs().get_ints("axes");
}

/// One element in a list or as a scalar is the same list of sizes.
void keep_shape_value(InferContext& ctx, size_t rank) {
  if (const auto values = ctx.shape_value(0); values && rank <= 1) ctx.set_shape_value(0, *values);
}

void check_inputs(InferContext& ctx, size_t min) {
  require_arity(ctx, ctx.version() >= 13 ? min : 1, ctx.version() >= 13 ? 2 : 1);
  if (!ctx.has_input(1)) return;
  ctx.require_dtype(1, kI64Only);
  list_length(ctx, 1, true);  // exporters also write one axis as a scalar
}

// -- Squeeze

std::vector<Dim> squeezed(const std::vector<Dim>& dims, std::span<const int64_t> axes) {
  std::vector<Dim> out;
  for (int64_t i = 0; i < std::ssize(dims); ++i) {
    const Dim& dim = dims[static_cast<size_t>(i)];
    if (std::find(axes.begin(), axes.end(), i) == axes.end())
      out.push_back(dim);
    else if (dim.known() && dim.value != 1)
      fail_invalid("axis {} has size {}, expected 1 to squeeze it", i, dim.value);
  }
  return out;
}

std::vector<int64_t> axes_of_one(const std::vector<Dim>& dims) {
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < std::ssize(dims); ++i)
    if (dims[static_cast<size_t>(i)].value == 1) axes.push_back(i);
  return axes;
}

void infer_squeeze(InferContext& ctx) {
  check_inputs(ctx, 1);
  ctx.set_type(0, ctx.dtype(0));
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return;
  std::vector<int64_t> axes;
  if (axes_given(ctx)) {
    const auto stated = stated_axes(ctx);
    if (!stated) return;
    axes = normalize_axes(*stated, std::ssize(*shape));
  } else {
    if (!known_shape(*shape)) return;
    axes = axes_of_one(*shape);
  }
  auto out = squeezed(*shape, axes);
  const size_t rank = out.size();
  ctx.set_type(0, ctx.dtype(0), std::move(out));
  keep_shape_value(ctx, rank);
}

void evaluate_squeeze(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const std::vector<Dim> dims = to_dims(x.shape());
  const bool given = ctx.has_input(1) || ctx.attrs().has("axes");
  const auto axes = given ? normalize_axes(stated_axes(ctx), x.rank()) : axes_of_one(dims);
  ctx.set_output(0, x.reshaped(*known_shape(squeezed(dims, axes))));
}

/// Axes of one are said by the shapes where the node does not name them.
void squeeze_axes(AxisFlow& flow) {
  const auto stated = read_list(flow, "axes", 1);
  if (!stated || stated->empty()) return tie_reshape(flow, 0, 0);
  std::vector<bool> dropped(static_cast<size_t>(flow.input_rank(0)));
  for (int64_t axis : normalize_axes(*stated, flow.input_rank(0)))
    dropped[static_cast<size_t>(axis)] = true;
  tie_kept(flow, dropped, false);
}

// -- Unsqueeze

std::vector<Dim> unsqueezed(const std::vector<Dim>& dims, std::span<const int64_t> axes) {
  const int64_t rank = std::ssize(dims) + std::ssize(axes);
  const auto ones = normalize_axes(axes, rank);
  std::vector<Dim> out;
  auto next = dims.begin();
  for (int64_t i = 0; i < rank; ++i)
    out.push_back(std::find(ones.begin(), ones.end(), i) != ones.end() ? Dim(1) : *next++);
  return out;
}

void infer_unsqueeze(InferContext& ctx) {
  check_inputs(ctx, 2);
  ctx.set_type(0, ctx.dtype(0));
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return;
  const auto axes = stated_axes(ctx);
  if (!axes) {
    if (const auto count = list_length(ctx, 1, true))
      ctx.set_type(0, ctx.dtype(0), std::vector<Dim>(shape->size() + static_cast<size_t>(*count)));
    return;
  }
  auto out = unsqueezed(*shape, *axes);
  const size_t rank = out.size();
  ctx.set_type(0, ctx.dtype(0), std::move(out));
  keep_shape_value(ctx, rank);
}

void evaluate_unsqueeze(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  ctx.set_output(0, x.reshaped(*known_shape(unsqueezed(to_dims(x.shape()), stated_axes(ctx)))));
}

void unsqueeze_axes(AxisFlow& flow) {
  const auto stated = read_list(flow, "axes", 1);
  if (!stated) return tie_reshape(flow, 0, 0);
  const auto ones = normalize_axes(*stated, flow.output_rank(0));
  int64_t from = 0;
  for (int64_t i = 0; i < flow.output_rank(0); ++i)
    if (std::find(ones.begin(), ones.end(), i) == ones.end())
      tie_or_freeze(flow, flow.input(0, from++), flow.output(0, i));
}

/// axes: attribute -> input.
void upgrade_to_13(Graph& graph, NodeId id) { attr_to_input(graph, id, "axes", 1); }

}  // namespace

const OpDef& op_Squeeze() {
  static const OpDef def{
      .name = "Squeeze",
      .versions = {1, 11, 13, 21, 23, 24, 25},
      .inputs = {1, 2},
      .outputs = {1, 1},
      .attrs = {{"axes", AttrKind::kInts, false, 1, 12}},
      .infer = infer_squeeze,
      .evaluate = evaluate_squeeze,
      .axes = squeeze_axes,
      .role = QuantRole::kPassThrough,
      .upgrades = {{13, upgrade_to_13}},
  };
  return def;
}

const OpDef& op_Unsqueeze() {
  static const OpDef def{
      .name = "Unsqueeze",
      .versions = {1, 11, 13, 21, 23, 24, 25},
      .inputs = {1, 2},
      .outputs = {1, 1},
      .attrs = {{"axes", AttrKind::kInts, true, 1, 12}},
      .infer = infer_unsqueeze,
      .evaluate = evaluate_unsqueeze,
      .axes = unsqueeze_axes,
      .role = QuantRole::kPassThrough,
      .upgrades = {{13, upgrade_to_13}},
  };
  return def;
}

}  // namespace lapidary
