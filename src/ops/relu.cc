#include "src/ops/elements.h"

#include "src/ops/axis_flow.h"

namespace lapidary {

namespace {

// y = max(x, 0), NaN kept

void infer_relu(InferContext& context) {
  if (context.version() < 14) return infer_same_float(context);
  context.require_dtype(0, kNumericDTypes);
  context.set_type(0, context.type(0));
}

void evaluate_relu(EvalContext& context) {
  const Tensor& x = context.input(0);
  dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
    context.set_output(0, map_elements<T>(x, [](auto v) { return v < 0 ? decltype(v)(0) : v; }));
  });
}

}  // namespace

const OpDef& op_Relu() {
  static const OpDef def{.name = "Relu",
                         .versions = {6, 13, 14},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .infer = infer_relu,
                         .evaluate = evaluate_relu,
                         .axes = tie_elementwise,
                         .role = QuantRole::kCompute};
  return def;
}

}  // namespace lapidary
