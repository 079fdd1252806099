#include <algorithm>

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// The attribute, or the reversed axes; throws where it is no permutation.
std::vector<int64_t> permutation(const AttrView& attrs, int64_t rank) {
  if (!attrs.has("perm")) {
    std::vector<int64_t> reversed = iota_table(rank);
    std::reverse(reversed.begin(), reversed.end());
    return reversed;
  }
  std::vector<int64_t> perm = attrs.get_ints("perm"), sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != iota_table(rank))
    fail_invalid("perm is {}, expected each of the {} axes once", shape_text(perm), rank);
  return perm;
}

void infer(InferContext& ctx) {
  ctx.set_type(0, ctx.dtype(0));
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return;
  std::vector<Dim> out;
  for (int64_t axis : permutation(ctx.attrs(), static_cast<int64_t>(shape->size())))
    out.push_back((*shape)[static_cast<size_t>(axis)]);
  ctx.set_type(0, ctx.dtype(0), std::move(out));
  if (const auto values = ctx.shape_value(0)) ctx.set_shape_value(0, *values);
}

void evaluate(EvalContext& ctx) {
  ctx.set_output(0, transposed(ctx.input(0), permutation(ctx.attrs(), ctx.input(0).rank())));
}

void axes(AxisFlow& flow) {
  const std::vector<int64_t> perm = permutation(flow.attrs(), flow.input_rank(0));
  for (size_t i = 0; i < perm.size(); ++i)
    tie_or_freeze(flow, flow.input(0, perm[i]), flow.output(0, static_cast<int64_t>(i)));
}

}  // namespace

const OpDef& op_Transpose() {
  static const OpDef def{
      .name = "Transpose",
      .versions = {1, 13, 21, 23, 24, 25},
      .inputs = {1, 1},
      .outputs = {1, 1},
      .attrs = {{"perm", AttrKind::kInts}},
      .infer = infer,
      .evaluate = evaluate,
      .axes = axes,
      .role = QuantRole::kPassThrough,
  };
  return def;
}

}  // namespace lapidary
