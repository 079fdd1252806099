#include "src/ops/axis_flow.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// In [0, rank]; negative ones count from the end (version 11).
size_t split_axis(const AttrView& attrs, int64_t rank) {
  const int64_t axis = attrs.get_int("axis", 1);
  if (axis < (attrs.version() < 11 ? 0 : -rank) || axis > rank)
    fail_invalid("axis is {}, expected at most the rank {}", axis, rank);
  return static_cast<size_t>(axis < 0 ? axis + rank : axis);
}

void infer(InferContext& ctx) {
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_type(0, ctx.dtype(0), {Dim{}, Dim{}});
  const std::span<const Dim> dims(*shape);
  const size_t axis = split_axis(ctx.attrs(), std::ssize(*shape));
  ctx.set_type(0, ctx.dtype(0), {product(dims.first(axis)), product(dims.subspan(axis))});
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const std::span<const int64_t> shape(x.shape());
  const size_t axis = split_axis(ctx.attrs(), x.rank());
  ctx.set_output(
      0, x.reshaped({element_count(shape.first(axis)), element_count(shape.subspan(axis))}));
}

void axes(AxisFlow& flow) { tie_reshape(flow, 0, 0); }

}  // namespace

const OpDef& op_Flatten() {
  static const OpDef def{
      .name = "Flatten",
      .versions = {1, 9, 11, 13, 21, 23, 24, 25},
      .inputs = {1, 1},
      .outputs = {1, 1},
      .attrs = {{"axis", AttrKind::kInt}},
      .infer = infer,
      .evaluate = evaluate,
      .axes = axes,
      .role = QuantRole::kPassThrough,
  };
  return def;
}

}  // namespace lapidary
