#include <algorithm>

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

void infer(InferContext& ctx) {
  ctx.require_dtype(1, kI64Only);
  const auto length = list_length(ctx, 1);
  ctx.set_type(0, ctx.dtype(0));
  const auto* shape = ctx.shape(0);
  const auto numbers = ctx.ints(1);
  if (numbers)
    for (int64_t size : *numbers)
      if (size < 0) fail_invalid("shape {} holds a negative size", shape_text(*numbers));
  const auto wanted = ctx.shape_value(1);
  if (shape == nullptr) return;
  if (wanted) {
    auto out = broadcast_dims(*shape, *wanted);
    if (const auto known = known_shape(out)) element_count(*known);
    ctx.set_type(0, ctx.dtype(0), std::move(out));
  } else if (length) {
    ctx.set_type(0, ctx.dtype(0),
                 std::vector<Dim>(std::max(shape->size(), static_cast<size_t>(*length))));
  }
}

/// Leading axes of one are added, then axes of one repeated.
void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto out = *known_shape(broadcast_dims(to_dims(x.shape()), to_dims(ctx.ints(1))));
  Shape padded(out.size() - x.shape().size(), 1);
  padded.insert(padded.end(), x.shape().begin(), x.shape().end());
  element_count(out);
  AxisTables tables = identity_tables(padded);
  for (size_t i = 0; i < out.size(); ++i)
    if (padded[i] == 1) {
      tables[i] = iota_table(out[i]);
      std::ranges::fill(tables[i], 0);
    }
  ctx.set_output(0, take_axes(x.reshaped(std::move(padded)), tables));
}

/// Along axes over which x is repeated any element may go. A 1 in `shape` keeps x's size.
void axes(AxisFlow& flow) {
  tie_broadcast(flow, 0);
  const int64_t rank = flow.output_rank(0), shift = rank - flow.input_rank(0);
  for (int64_t i = 0; i < rank; ++i)
    if (i < shift || flow.input_shape(0)[static_cast<size_t>(i - shift)] == 1)
      flow.leave(flow.output(0, i));
  const auto numbers = flow.ints(1);
  const int64_t length = flow.input_shape(1)[0];
  for (int64_t i = 0; i < length; ++i)
    if (!numbers || (*numbers)[static_cast<size_t>(i)] != 1)
      if (const AxisRef to = flow.output(0, rank - length + i); flow.size(to) > 1)
        flow.input_is(1, i, {to});
  if (length < 0)
    for (int64_t i = 0; i < rank; ++i)
      flow.freeze(flow.output(0, i), "the length of the shape it is expanded to is not known");
}

}  // namespace

const OpDef& op_Expand() {
  static const OpDef def{
      .name = "Expand",
      .versions = {8, 13},
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
