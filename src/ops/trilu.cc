#include "src/ops/movement.h"

#include "src/ops/axis_flow.h"

namespace lapidary {

namespace {

void infer(InferContext& ctx) {
  ctx.require_rank(0, 2, -1);
  ctx.require_dtype(1, kI64Only);
  list_length(ctx, 1, true);
  ctx.set_type(0, ctx.type(0));
}

/// Keeps the elements with column - row >= k (upper) or <= k (lower), of every matrix.
void evaluate(EvalContext& ctx) {
  Tensor out = ctx.input(0);
  const int64_t rows = out.dim(-2), columns = out.dim(-1);
  const bool upper = ctx.attrs().get_int("upper", 1) != 0;
  const int64_t k = ctx.has_input(1) && ctx.input(1).size() > 0 ? ctx.ints(1)[0] : 0;
  with_storage(out.dtype(), [&]<class T>(T) {
    T* to = static_cast<T*>(out.mutable_raw());
    for (int64_t i = 0; i < out.size(); ++i) {
      const int64_t offset = i % columns - i / columns % rows;
      if (upper ? offset < k : offset > k) to[i] = T{};
    }
  });
  ctx.set_output(0, std::move(out));
}

/// Nothing is said of rows and columns: where the triangle begins counts them.
void axes(AxisFlow& flow) {
  const int64_t rank = flow.input_rank(0);
  tie_all_but(flow, 0, 0, std::array{rank - 2, rank - 1});
}

}  // namespace

const OpDef& op_Trilu() {
  static const OpDef def{.name = "Trilu",
                         .versions = {14},
                         .inputs = {1, 2},
                         .outputs = {1, 1},
                         .attrs = {{"upper", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .axes = axes};
  return def;
}

}  // namespace lapidary
