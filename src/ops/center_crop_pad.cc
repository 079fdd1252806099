#include "src/ops/movement.h"

namespace lapidary {

namespace {

std::vector<int64_t> touched(const AttrView& attrs, int64_t rank) {
  return attrs.has("axes") ? normalize_axes(attrs.get_ints("axes"), rank) : iota_table(rank);
}

void check_sizes(std::span<const int64_t> sizes, size_t axes) {
  if (sizes.size() != axes)
    fail_invalid("shape has {} numbers, expected {}, one per axis", sizes.size(), axes);
  for (int64_t size : sizes)
    if (size < 0) fail_invalid("shape {} holds a negative size", shape_text(sizes));
}

void infer(InferContext& ctx) {
  ctx.require_dtype(1, kIndexTypes);
  list_length(ctx, 1);
  ctx.set_type(0, ctx.dtype(0));
  if (ctx.shape(0) == nullptr) return;
  std::vector<Dim> out = *ctx.shape(0);
  const auto axes = touched(ctx.attrs(), std::ssize(out));
  if (const auto numbers = ctx.ints(1)) check_sizes(*numbers, axes.size());
  const auto sizes = ctx.shape_value(1);
  for (size_t i = 0; i < axes.size(); ++i)
    out[static_cast<size_t>(axes[i])] = sizes && i < sizes->size() ? (*sizes)[i] : Dim{};
  if (const auto known = known_shape(out)) element_count(*known);
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

/// Axes that are too long lose the same number of elements on both sides, an odd one at the end;
/// axes that are too short get zeros likewise.
void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto axes = touched(ctx.attrs(), x.rank()), sizes = ctx.ints(1);
  AxisTables tables = identity_tables(x.shape());
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    const int64_t have = x.shape()[axis], want = sizes[i];
    const int64_t shift = want < have ? (have - want) / 2 : -((want - have) / 2);
    tables[axis] = iota_table(want);
    for (int64_t& at : tables[axis]) {
      at += shift;
      if (at < 0 || at >= have) at = -1;
    }
  }
  ctx.set_output(0, take_axes(x, tables));
}

}  // namespace

const OpDef& op_CenterCropPad() {
  static const OpDef def{.name = "CenterCropPad",
                         .versions = {18},
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .attrs = {{"axes", AttrKind::kInts}},
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
