#include <algorithm>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

int64_t read_depth(const Tensor& depth) {
  if (depth.size() != 1) fail_invalid("depth has {} elements, expected 1", depth.size());
  const double value = read_as<double>(depth)[0];
  if (!(value >= 1 && value < 0x1p62)) fail_invalid("depth is {}, expected 1 or more", value);
  return static_cast<int64_t>(value);
}

int64_t depth_axis(const AttrView& attrs, int64_t rank) {
  return InferContext::normalize_axis(attrs.get_int("axis", -1), rank + 1);
}

/// The shape of indices with an axis of `depth` put in.
void infer(InferContext& ctx) {
  ctx.require_dtype(0, kNumericDTypes);
  ctx.require_dtype(1, kNumericDTypes);
  list_length(ctx, 1, true);
  if (const auto pair = list_length(ctx, 2); pair && *pair != 2)
    fail_invalid("values has {} elements, expected 2 (off, on)", *pair);
  ctx.set_type(0, ctx.dtype(2));
  Dim depth;
  if (ctx.constant(1)) depth = read_depth(*ctx.constant(1));
  if (ctx.shape(0) == nullptr) return;
  std::vector<Dim> out = *ctx.shape(0);
  out.insert(out.begin() + depth_axis(ctx.attrs(), std::ssize(out)), depth);
  if (const auto known = known_shape(out)) element_count(*known);
  ctx.set_type(0, ctx.dtype(2), std::move(out));
}

/// out[..., d, ...] = values[index == d]; indices outside [-depth, depth) leave their row off.
void evaluate(EvalContext& ctx) {
  const Tensor &indices = ctx.input(0), &values = ctx.input(2);
  const int64_t depth = read_depth(ctx.input(1));
  const int64_t axis = depth_axis(ctx.attrs(), indices.rank());
  Shape shape = indices.shape();
  shape.insert(shape.begin() + axis, depth);
  Tensor out(values.dtype(), shape);
  const std::vector<double> wanted = read_as<double>(indices);
  const int64_t inner = row_major_strides(shape)[static_cast<size_t>(axis)];
  with_storage(values.dtype(), [&]<class T>(T) {
    const T* pair = static_cast<const T*>(values.raw());
    T* to = static_cast<T*>(out.mutable_raw());
    std::fill_n(to, out.size(), pair[0]);
    for (int64_t i = 0; i < indices.size(); ++i) {
      const double index = wanted[static_cast<size_t>(i)];
      if (!(index >= static_cast<double>(-depth) && index < static_cast<double>(depth))) continue;
      const auto at = static_cast<int64_t>(index) + (index < 0 ? depth : 0);
      to[(i / inner * depth + at) * inner + i % inner] = pair[1];
    }
  });
  ctx.set_output(0, std::move(out));
}

}  // namespace

const OpDef& op_OneHot() {
  static const OpDef def{.name = "OneHot",
                         .versions = {9, 11},
                         .later = {28},  // bfloat16
                         .inputs = {3, 3},
                         .outputs = {1, 1},
                         .attrs = {{"axis", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
