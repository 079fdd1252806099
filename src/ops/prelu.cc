#include "src/ops/axis_flow.h"
#include "src/ops/before_7.h"
#include "src/ops/elements.h"

// y = x < 0 ? slope x : x, the slope broadcast to x and not the other way round

namespace lapidary {

namespace {

void infer_prelu(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  context.require_same_dtype(0, 1);
  const auto* x = context.shape(0);
  const auto* slope = context.shape(1);
  if (x && slope) {
    const std::vector<Dim> both = broadcast_dims(*x, *slope);
    bool grows = both.size() != x->size();
    for (size_t i = 0; !grows && i < x->size(); ++i)
      grows = (*x)[i].known() && both[i].known() && (*x)[i].value != both[i].value;
    if (grows)
      fail_invalid("slope {} does not broadcast to the input {}", context.type(1).text(),
                   context.type(0).text());
  }
  context.set_type(0, context.type(0));
}

void evaluate_prelu(EvalContext& context) {
  dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() {
    context.set_output(
        0, map_broadcast<T, T>(context.input(0), context.input(1), [](auto x, auto slope) {
          return x < 0 ? static_cast<decltype(x)>(x * slope) : x;
        }));
  });
}

}  // namespace

const OpDef& op_PRelu() {
  static const OpDef def{.name = "PRelu",
                         .versions = {7, 9, 16},
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .infer = infer_prelu,
                         .evaluate = evaluate_prelu,
                         .axes = tie_elementwise,
                         .role = QuantRole::kCompute,
                         .upgrades = {{7, align_slope}}};
  return def;
}

}  // namespace lapidary
