#include <algorithm>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

inline constexpr DType kBool[] = {DType::kBool};

/// As many along the axis (or of the flattened input) as the condition has true elements.
void infer(InferContext& ctx) {
  ctx.require_dtype(1, kBool);
  list_length(ctx, 1);
  ctx.set_type(0, ctx.dtype(0));
  Dim count;
  const auto* shape = ctx.shape(0);
  if (!ctx.attrs().has("axis")) return ctx.set_type(0, ctx.dtype(0), {count});
  if (shape == nullptr) return;
  std::vector<Dim> out = *shape;
  out[static_cast<size_t>(
      InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), std::ssize(out)))] = count;
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

void evaluate(EvalContext& ctx) {
  const bool flat = !ctx.attrs().has("axis");
  const Tensor x = flat ? ctx.input(0).reshaped({ctx.input(0).size()}) : ctx.input(0);
  const int64_t axis =
      flat ? 0 : InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), x.rank());
  const auto condition = ctx.input(1).data<bool>();
  std::vector<int64_t> kept;
  for (size_t i = 0; i < condition.size(); ++i) {
    if (!condition[i]) continue;
    if (static_cast<int64_t>(i) >= x.dim(axis))
      fail_invalid("the condition selects element {} of an axis of {}", i, x.dim(axis));
    kept.push_back(static_cast<int64_t>(i));
  }
  AxisTables tables = identity_tables(x.shape());
  tables[static_cast<size_t>(axis)] = std::move(kept);
  ctx.set_output(0, take_axes(x, tables));
}

}  // namespace

const OpDef& op_Compress() {
  static const OpDef def{.name = "Compress",
                         .versions = {9, 11},
                         .later = {28},  // bfloat16
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .attrs = {{"axis", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
