#include "src/ops/movement.h"

namespace lapidary {

namespace {

DType output_dtype(const AttrView& attrs, DType input) {
  if (!attrs.has("dtype")) return input;
  const int64_t code = attrs.get_int("dtype", 0);
  const auto dtype = static_cast<DType>(code);
  if (code < 1 || code > 100 || !dtype_known(dtype))
    fail_invalid("dtype {} is no element type", code);
  return dtype;
}

void infer(InferContext& ctx) {
  ctx.require_rank(0, 2, 2);
  ctx.set_type(0, TensorType{output_dtype(ctx.attrs(), ctx.dtype(0)), ctx.type(0).shape});
}

/// out[i, i + k] = 1, zero elsewhere.
void evaluate(EvalContext& ctx) {
  const int64_t rows = ctx.input(0).dim(0), columns = ctx.input(0).dim(1);
  const int64_t k = ctx.attrs().get_int("k", 0);
  Tensor out(output_dtype(ctx.attrs(), ctx.input(0).dtype()), {rows, columns});
  dispatch<NumericOrBoolTypes>(out.dtype(), [&]<class T>() {
    auto to = out.mutable_data<T>();
    for (int64_t row = 0; row < rows; ++row)
      if (k >= -row && k < columns - row)
        to[static_cast<size_t>(row * columns + row + k)] = store<T>(static_cast<Real<T>>(1));
  });
  ctx.set_output(0, std::move(out));
}

}  // namespace

const OpDef& op_EyeLike() {
  static const OpDef def{.name = "EyeLike",
                         .versions = {9, 22},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .attrs = {{"dtype", AttrKind::kInt}, {"k", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .half_since = kNoHalfForm};
  return def;
}

}  // namespace lapidary
