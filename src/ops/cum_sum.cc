#include "src/ops/movement.h"

#include "src/ops/axis_flow.h"

namespace lapidary {

namespace {

void infer(InferContext& ctx) {
  ctx.require_dtype(0, kNumericDTypes);
  ctx.require_dtype(1, kIndexTypes);
  list_length(ctx, 1, true);
  ctx.set_type(0, ctx.type(0));
  const auto axis = ctx.ints(1);
  if (axis && axis->size() != 1) fail_invalid("axis has {} elements, expected 1", axis->size());
  if (axis && ctx.shape(0)) InferContext::normalize_axis((*axis)[0], std::ssize(*ctx.shape(0)));
}

/// y[i] = x[0] + ... + x[i] along the axis; exclusive: without x[i]; reverse: from the end.
void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const int64_t axis = InferContext::normalize_axis(ctx.ints(1)[0], x.rank());
  const bool exclusive = ctx.attrs().get_int("exclusive", 0) != 0;
  const bool reverse = ctx.attrs().get_int("reverse", 0) != 0;
  const int64_t size = x.dim(axis), step = row_major_strides(x.shape())[static_cast<size_t>(axis)];
  Tensor out(x.dtype(), x.shape());
  const int64_t rows = size == 0 ? 0 : x.size() / size;
  dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>().data();
    T* to = out.mutable_data<T>().data();
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t base = row / step * size * step + row % step;
      Real<T> sum = 0;
      for (int64_t i = 0; i < size; ++i) {
        const int64_t at = base + (reverse ? size - 1 - i : i) * step;
        if (exclusive) to[at] = store<T>(sum);
        sum = static_cast<Real<T>>(sum + load(from[at]));
        if (!exclusive) to[at] = store<T>(sum);
      }
    }
  });
  ctx.set_output(0, std::move(out));
}

/// Nothing is said of the axis summed along.
void axes(AxisFlow& flow) {
  const auto axis = flow.ints(1);
  if (axis) tie_all_but(flow, 0, 0, normalize_axes(*axis, flow.input_rank(0)));
}

}  // namespace

const OpDef& op_CumSum() {
  static const OpDef def{.name = "CumSum",
                         .versions = {11, 14},
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .attrs = {{"exclusive", AttrKind::kInt}, {"reverse", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .axes = axes,
                         .half_since = kNoHalfForm};
  return def;
}

}  // namespace lapidary
