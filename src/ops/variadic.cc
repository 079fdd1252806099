#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/elements.h"

// Min, Max, Sum, Mean: any number of tensors, broadcast against each other since version 8.

namespace lapidary {

namespace {

void infer_variadic(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  infer_broadcast(context);
}

/// Folds all inputs from the left; `finish` sees the result and the number of inputs.
template <class T, class F, class Finish>
Tensor fold_inputs(const EvalContext& context, F f, Finish finish) {
  Tensor out = context.input(0);
  for (size_t i = 1; i < context.input_count(); ++i)
    out = map_broadcast<T, T>(out, context.input(i), f);
  return finish(std::move(out), context.input_count());
}

constexpr auto kAsIs = [](Tensor t, size_t) { return t; };

/// NaN wins, as in NumPy's minimum and maximum.
template <bool kWantMax>
void evaluate_extreme(EvalContext& context) {
  dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() {
    const auto pick = [](auto a, auto b) {
      if constexpr (std::is_floating_point_v<decltype(a)>) {
        if (std::isnan(a)) return a;
        if (std::isnan(b)) return b;
      }
      return (kWantMax ? a < b : b < a) ? b : a;
    };
    context.set_output(0, fold_inputs<T>(context, pick, kAsIs));
  });
}

constexpr auto kPlus = [](auto a, auto b) { return a + b; };

void evaluate_sum(EvalContext& context) {
  dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
    context.set_output(0, fold_inputs<T>(context, kPlus, kAsIs));
  });
}

void evaluate_mean(EvalContext& context) {
  dispatch<FloatTypes>(context.input(0).dtype(), [&]<class T>() {
    context.set_output(0, fold_inputs<T>(context, kPlus, [](const Tensor& sum, size_t count) {
                         return map_elements<T>(
                             sum, [&](auto v) { return v / static_cast<decltype(v)>(count); });
                       }));
  });
}

OpDef variadic(std::string_view name, std::vector<int> versions, void (*evaluate)(EvalContext&)) {
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {1, -1},
          .outputs = {1, 1},
          .infer = infer_variadic,
          .evaluate = evaluate,
          .axes = tie_elementwise};
}

}  // namespace

const OpDef& op_Min() {
  static const OpDef def = variadic("Min", {6, 8, 12, 13}, evaluate_extreme<false>);
  return def;
}
const OpDef& op_Max() {
  static const OpDef def = variadic("Max", {6, 8, 12, 13}, evaluate_extreme<true>);
  return def;
}
const OpDef& op_Sum() {
  static const OpDef def = variadic("Sum", {6, 8, 13}, evaluate_sum);
  return def;
}
const OpDef& op_Mean() {
  static const OpDef def = variadic("Mean", {6, 8, 13}, evaluate_mean);
  return def;
}

}  // namespace lapidary
