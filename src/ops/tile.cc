#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// out[i] = x[i mod size]; `repeats` has one number an axis.
std::vector<Dim> tiled(const std::vector<Dim>& dims, const ShapeValue& repeats) {
  if (repeats.size() != dims.size())
    fail_invalid("repeats has {} numbers, expected {}, one per axis", repeats.size(), dims.size());
  std::vector<Dim> out;
  for (size_t i = 0; i < dims.size(); ++i) out.push_back(mul_dims(dims[i], repeats[i]));
  if (const auto known = known_shape(out)) element_count(*known);
  return out;
}

void infer(InferContext& ctx) {
  ctx.require_dtype(1, kI64Only);
  list_length(ctx, 1);
  ctx.set_type(0, ctx.dtype(0));
  if (const auto numbers = ctx.ints(1))
    for (int64_t count : *numbers)
      if (count < 0) fail_invalid("repeats {} holds a negative number", shape_text(*numbers));
  const auto* shape = ctx.shape(0);
  const auto repeats = ctx.shape_value(1);
  if (shape == nullptr) return;
  ctx.set_type(0, ctx.dtype(0),
               repeats ? tiled(*shape, *repeats) : std::vector<Dim>(shape->size()));
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto shape = *known_shape(tiled(to_dims(x.shape()), to_dims(ctx.ints(1))));
  AxisTables tables;
  for (size_t i = 0; i < shape.size(); ++i) {
    tables.push_back(iota_table(shape[i]));
    for (int64_t& at : tables[i]) at %= x.shape()[i];
  }
  ctx.set_output(0, take_axes(x, tables));
}

/// Copies go with their element; of the copies of a single one, any may go.
void axes(AxisFlow& flow) {
  const auto repeats = flow.ints(1);
  if (!repeats) return;
  for (int64_t i = 0; i < flow.input_rank(0); ++i) {
    const AxisRef from = flow.input(0, i), to = flow.output(0, i);
    const int64_t count = (*repeats)[static_cast<size_t>(i)], size = flow.size(from);
    if (count == 1) {
      tie_or_freeze(flow, from, to);
    } else if (size == 1) {
      flow.leave(to);
      flow.input_is(1, i, {to});
    } else if (size > 0) {
      for (int64_t copy = 0; copy < count; ++copy)
        flow.tie(from, positions(0, size), to, positions(copy * size, size));
    }
  }
}

}  // namespace

const OpDef& op_Tile() {
  static const OpDef def{
      .name = "Tile",
      .versions = {6, 13},
      .inputs = {2, 2},
      .outputs = {1, 1},
      .infer = infer,
      .evaluate = evaluate,
      .axes = axes,
      .role = QuantRole::kPassThrough,
  };
  return def;
}

}  // namespace lapidary
