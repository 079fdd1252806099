#include "src/ops/movement.h"

namespace lapidary {

namespace {

struct Axes {
  size_t batch, time;
};

Axes axes_of(const AttrView& attrs) {
  const int64_t batch = attrs.get_int("batch_axis", 1), time = attrs.get_int("time_axis", 0);
  if (batch < 0 || batch > 1 || time < 0 || time > 1 || batch == time)
    fail_invalid("batch_axis is {} and time_axis {}, expected 0 and 1", batch, time);
  return {static_cast<size_t>(batch), static_cast<size_t>(time)};
}

void infer(InferContext& ctx) {
  const Axes axes = axes_of(ctx.attrs());
  ctx.require_rank(0, 2, -1);
  ctx.require_dtype(1, kI64Only);
  ctx.require_rank(1, 1, 1);
  if (ctx.shape(0) && ctx.shape(1)) unify_dim((*ctx.shape(0))[axes.batch], (*ctx.shape(1))[0]);
  ctx.set_type(0, ctx.type(0));
}

/// The first lengths[b] elements along time of batch element b come in reverse order.
void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const Axes axes = axes_of(ctx.attrs());
  const auto lengths = ctx.ints(1);
  for (int64_t length : lengths)
    if (length < 0 || length > x.shape()[axes.time])
      fail_invalid("a sequence length is {}, expected 0 to {}", length, x.shape()[axes.time]);
  const int64_t step = row_major_strides(x.shape())[axes.time];
  std::vector<int64_t> positions, index(x.shape().size(), 0);
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t length = lengths[static_cast<size_t>(index[axes.batch])], time = index[axes.time];
    positions.push_back(time < length ? i + (length - 1 - 2 * time) * step : i);
    next_index(index, x.shape());
  }
  ctx.set_output(0, take_flat(x, x.shape(), positions));
}

}  // namespace

const OpDef& op_ReverseSequence() {
  static const OpDef def{.name = "ReverseSequence",
                         .versions = {10},
                         .later = {28},  // bfloat16
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .attrs = {{"batch_axis", AttrKind::kInt}, {"time_axis", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
