#include <algorithm>

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

void infer(InferContext& ctx) {
  std::optional<std::vector<Dim>> out;
  int64_t axis = 0;
  bool ranks_known = true;
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    ctx.require_same_dtype(0, i);
    const auto* shape = ctx.shape(i);
    if (shape == nullptr) {
      ranks_known = false;
      continue;
    }
    const auto rank = static_cast<int64_t>(shape->size());
    if (rank == 0) fail_invalid("input {} is a scalar, expected at least one axis", i);
    if (!out) {
      axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), rank);
      out = *shape;
      continue;
    }
    if (rank != static_cast<int64_t>(out->size()))
      fail_invalid("input {} has {} axes, expected {} as the inputs before it", i, rank,
                   out->size());
    for (size_t d = 0; d < out->size(); ++d)
      (*out)[d] = static_cast<int64_t>(d) == axis ? add_dims((*out)[d], (*shape)[d])
                                                  : unify_dim((*out)[d], (*shape)[d]);
  }
  if (out && !ranks_known) (*out)[static_cast<size_t>(axis)] = Dim{};
  ctx.set_type(0, TensorType{ctx.dtype(0), out});

  if (!out || out->size() != 1) return;
  ShapeValue joined;
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    const auto part = ctx.shape_value(i);
    if (!part) return;
    joined.insert(joined.end(), part->begin(), part->end());
  }
  ctx.set_shape_value(0, std::move(joined));
}

void evaluate(EvalContext& ctx) {
  Shape shape = ctx.input(0).shape();
  const int64_t axis =
      InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), ctx.input(0).rank());
  int64_t& joined = shape[static_cast<size_t>(axis)];
  for (size_t i = 1; i < ctx.input_count(); ++i)
    joined = checked_add(joined, ctx.input(i).dim(axis));
  Tensor out(ctx.input(0).dtype(), shape);
  const int64_t outer = element_count(std::span(shape).first(static_cast<size_t>(axis)));
  with_storage(out.dtype(), [&]<class T>(T) {
    T* to = static_cast<T*>(out.mutable_raw());
    if (out.size() == 0) return;
    for (int64_t row = 0; row < outer; ++row)
      for (size_t i = 0; i < ctx.input_count(); ++i) {
        const int64_t run = ctx.input(i).size() / outer;
        to = std::copy_n(static_cast<const T*>(ctx.input(i).raw()) + row * run, run, to);
      }
  });
  ctx.set_output(0, std::move(out));
}

/// Along `axis` the inputs' elements follow each other.
void axes(AxisFlow& flow) {
  const std::vector<int64_t> joined{
      InferContext::normalize_axis(flow.attrs().get_int("axis", 0), flow.output_rank(0))};
  const AxisRef to = flow.output(0, joined[0]);
  for (size_t i = 0; i < flow.input_count(); ++i) tie_all_but(flow, i, 0, joined);
  for (size_t i = 0; i < flow.input_count(); ++i)
    if (flow.size(flow.input(i, joined[0])) < 0) return;
  int64_t begin = 0;
  for (size_t i = 0; i < flow.input_count(); ++i) {
    const AxisRef from = flow.input(i, joined[0]);
    const int64_t count = flow.size(from);
    flow.tie(from, positions(0, count), to, positions(begin, count));
    begin += count;
  }
}

}  // namespace

const OpDef& op_Concat() {
  static const OpDef def{
      .name = "Concat",
      .versions = {4, 11, 13},
      .inputs = {1, -1},
      .outputs = {1, 1},
      .attrs = {{"axis", AttrKind::kInt, true}},
      .infer = infer,
      .evaluate = evaluate,
      .axes = axes,
      .role = QuantRole::kCompute,
  };
  return def;
}

}  // namespace lapidary
