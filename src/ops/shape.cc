#include <algorithm>

#include "src/ops/axis_flow.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// Axes [start, end) of a tensor of `rank`, negative ones counted from the end, then clamped.
std::pair<int64_t, int64_t> wanted_range(const AttrView& attrs, int64_t rank) {
  const auto place = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const int64_t start = place(attrs.get_int("start", 0)), end = place(attrs.get_int("end", rank));
  return {start, std::max(start, end)};
}

std::span<const Dim> wanted_axes(const AttrView& attrs, std::span<const Dim> dims) {
  const auto [start, end] = wanted_range(attrs, std::ssize(dims));
  return dims.subspan(static_cast<size_t>(start), static_cast<size_t>(end - start));
}

void infer_shape(InferContext& ctx) {
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_type(0, DType::kI64, {Dim{}});
  const auto dims = wanted_axes(ctx.attrs(), *shape);
  ctx.set_type(0, DType::kI64, {static_cast<int64_t>(dims.size())});
  ctx.set_shape_value(0, ShapeValue(dims.begin(), dims.end()));
}

void evaluate_shape(EvalContext& ctx) {
  const std::vector<Dim> dims = to_dims(ctx.input(0).shape());
  const Shape wanted = *known_shape(wanted_axes(ctx.attrs(), dims));
  ctx.set_output(0, Tensor::of<int64_t>({std::ssize(wanted)}, wanted));
}

void shape_axes(AxisFlow& flow) {
  const auto [start, end] = wanted_range(flow.attrs(), flow.input_rank(0));
  for (int64_t i = 0; i < flow.input_rank(0); ++i) flow.leave(flow.input(0, i));
  for (int64_t i = start; i < end; ++i) flow.output_tells(0, i - start, flow.input(0, i));
}

void infer_size(InferContext& ctx) {
  ctx.set_type(0, DType::kI64, std::vector<Dim>{});
  if (const auto* shape = ctx.shape(0)) ctx.set_shape_value(0, {product(*shape)});
}

void evaluate_size(EvalContext& ctx) {
  ctx.set_output(0, Tensor::scalar<int64_t>(ctx.input(0).size()));
}

}  // namespace

const OpDef& op_Shape() {
  static const OpDef def{
      .name = "Shape",
      .versions = {1, 13, 15, 19, 21, 23, 24, 25},
      .inputs = {1, 1},
      .outputs = {1, 1},
      .attrs = {{"start", AttrKind::kInt, false, 15}, {"end", AttrKind::kInt, false, 15}},
      .infer = infer_shape,
      .evaluate = evaluate_shape,
      .axes = shape_axes,
      .role = QuantRole::kShapeOnly,
  };
  return def;
}

const OpDef& op_Size() {
  static const OpDef def{
      .name = "Size",
      .versions = {1, 13, 19, 21, 23, 24, 25},
      .inputs = {1, 1},
      .outputs = {1, 1},
      .infer = infer_size,
      .evaluate = evaluate_size,
      .role = QuantRole::kShapeOnly,
  };
  return def;
}

}  // namespace lapidary
