#include "src/ops/movement.h"

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"

namespace lapidary {

namespace {

/// i64 positions of the extreme along `axis`.
void infer(InferContext& ctx) {
  ctx.set_type(0, DType::kI64);
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return;
  std::vector<Dim> out = *shape;
  const auto axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), std::ssize(out));
  if (out[static_cast<size_t>(axis)].value == 0)
    fail_invalid("axis {} has size 0: there is no extreme", axis);
  if (ctx.attrs().get_int("keepdims", 1) != 0)
    out[static_cast<size_t>(axis)] = 1;
  else
    out.erase(out.begin() + axis);
  ctx.set_type(0, DType::kI64, std::move(out));
}

/// `better(a, b)`: a replaces b. Among equals the first wins, or the last (select_last_index).
template <class Better>
void evaluate(EvalContext& ctx, Better better) {
  const Tensor& x = ctx.input(0);
  const int64_t axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), x.rank());
  const bool last = ctx.attrs().get_int("select_last_index", 0) != 0;
  const int64_t size = x.dim(axis), step = row_major_strides(x.shape())[static_cast<size_t>(axis)];
  Shape shape = x.shape();
  if (ctx.attrs().get_int("keepdims", 1) != 0)
    shape[static_cast<size_t>(axis)] = 1;
  else
    shape.erase(shape.begin() + axis);
  Tensor out(DType::kI64, shape);
  auto to = out.mutable_data<int64_t>();
  dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
    const auto from = x.data<T>();
    for (size_t i = 0; i < to.size(); ++i) {
      const auto row =
          static_cast<int64_t>(i) / step * size * step + static_cast<int64_t>(i) % step;
      const auto value = [&](int64_t at) {
        return load(from[static_cast<size_t>(row + at * step)]);
      };
      for (int64_t at = 1; at < size; ++at)
        if (better(value(at), value(to[i])) || (last && value(at) == value(to[i]))) to[i] = at;
    }
  });
  ctx.set_output(0, std::move(out));
}

void evaluate_max(EvalContext& ctx) {
  evaluate(ctx, [](auto a, auto b) { return a > b; });
}
void evaluate_min(EvalContext& ctx) {
  evaluate(ctx, [](auto a, auto b) { return a < b; });
}

/// Positions along the axis would change: nothing is said of it.
void axes(AxisFlow& flow) {
  std::vector<bool> reduced(static_cast<size_t>(flow.input_rank(0)));
  reduced[static_cast<size_t>(
      InferContext::normalize_axis(flow.attrs().get_int("axis", 0), flow.input_rank(0)))] = true;
  tie_kept(flow, reduced, flow.attrs().get_int("keepdims", 1) != 0);
}

OpDef extreme(std::string_view name, void (*evaluate_of)(EvalContext&)) {
  return {
      .name = name,
      .versions = {1, 11, 12, 13},
      .inputs = {1, 1},
      .outputs = {1, 1},
      .attrs = {{"axis", AttrKind::kInt},
                {"keepdims", AttrKind::kInt},
                {"select_last_index", AttrKind::kInt, false, 12}},
      .infer = infer,
      .evaluate = evaluate_of,
      .axes = axes,
  };
}

}  // namespace

const OpDef& op_ArgMax() {
  static const OpDef def = extreme("ArgMax", evaluate_max);
  return def;
}

const OpDef& op_ArgMin() {
  static const OpDef def = extreme("ArgMin", evaluate_min);
  return def;
}

}  // namespace lapidary
