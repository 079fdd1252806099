#include <cmath>

#include "src/base/float8.h"
#include "src/ops/axis_flow.h"
#include "src/ops/elements.h"

namespace lapidary {

namespace {

// -- Not, BitwiseNot

void infer_not(InferContext& context) {
  constexpr std::array kBool{DType::kBool};
  context.require_dtype(0, kBool);
  context.set_type(0, context.type(0));
}

void evaluate_not(EvalContext& context) {
  context.set_output(0, map_elements<bool>(context.input(0), [](bool v) { return !v; }));
}

void infer_bitwise_not(InferContext& context) {
  context.require_dtype(0, kIntDTypes);
  context.set_type(0, context.type(0));
}

void evaluate_bitwise_not(EvalContext& context) {
  dispatch<IntTypes>(context.input(0).dtype(), [&]<class T>() {
    context.set_output(0,
                       map_elements<T>(context.input(0), [](T v) { return static_cast<T>(~v); }));
  });
}

// -- IsNaN, IsInf

void infer_float_test(InferContext& context) {
  const DType dtype = context.dtype(0);
  if (!is_float8(dtype)) context.require_dtype(0, kFloatDTypes);
  TensorType out = context.type(0);
  out.dtype = DType::kBool;
  context.set_type(0, std::move(out));
}

template <class F>
void test_elements(EvalContext& context, F f) {
  const Tensor& x = context.input(0);
  Tensor out(DType::kBool, x.shape());
  auto to = out.mutable_data<bool>();
  dispatch<FloatTypes>(x.dtype(), [&]<class T>() {
    const auto from = x.data<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = f(load(from[i]));
  });
  context.set_output(0, std::move(out));
}

void evaluate_is_nan(EvalContext& context) {
  test_elements(context, [](auto v) { return std::isnan(v); });
}

void evaluate_is_inf(EvalContext& context) {
  const bool negative = context.attrs().get_int("detect_negative", 1) != 0;
  const bool positive = context.attrs().get_int("detect_positive", 1) != 0;
  test_elements(context, [&](auto v) { return std::isinf(v) && (v > 0 ? positive : negative); });
}

// -- Where: condition ? x : y, all three broadcast

void infer_where(InferContext& context) {
  constexpr std::array kBool{DType::kBool};
  context.require_dtype(0, kBool);
  context.require_same_dtype(1, 2);
  const auto branches = broadcast_shapes(context.shape(1), context.shape(2));
  const auto* both = branches ? &*branches : nullptr;
  context.set_type(0, TensorType{context.dtype(1), broadcast_shapes(context.shape(0), both)});
}

void evaluate_where(EvalContext& context) {
  const Tensor &condition = context.input(0), &x = context.input(1), &y = context.input(2);
  const std::array shapes{condition.shape(), x.shape(), y.shape()};
  Tensor out(x.dtype(), broadcast_shape(shapes));
  std::array<std::vector<int64_t>, 3> strides;
  for (size_t i = 0; i < 3; ++i) strides[i] = broadcast_strides(shapes[i], out.shape());
  const auto chosen = condition.data<bool>();
  dispatch<AnyTypes>(x.dtype(), [&]<class T>() {
    const auto from_x = x.data<T>(), from_y = y.data<T>();
    auto to = out.mutable_data<T>();
    for_each_broadcast(out.shape(), strides, [&](int64_t i, const std::array<int64_t, 3>& at) {
      to[static_cast<size_t>(i)] = chosen[static_cast<size_t>(at[0])]
                                       ? from_x[static_cast<size_t>(at[1])]
                                       : from_y[static_cast<size_t>(at[2])];
    });
  });
  context.set_output(0, std::move(out));
}

}  // namespace

const OpDef& op_Not() {
  static const OpDef def{.name = "Not",
                         .versions = {1},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .infer = infer_not,
                         .evaluate = evaluate_not,
                         .axes = tie_elementwise};
  return def;
}

const OpDef& op_BitwiseNot() {
  static const OpDef def{.name = "BitwiseNot",
                         .versions = {18},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .infer = infer_bitwise_not,
                         .evaluate = evaluate_bitwise_not,
                         .axes = tie_elementwise};
  return def;
}

const OpDef& op_IsNaN() {
  static const OpDef def{.name = "IsNaN",
                         .versions = {9, 13, 20},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .infer = infer_float_test,
                         .evaluate = evaluate_is_nan,
                         .axes = tie_elementwise};
  return def;
}

const OpDef& op_IsInf() {
  static const OpDef def{
      .name = "IsInf",
      .versions = {10, 20},
      .inputs = {1, 1},
      .outputs = {1, 1},
      .attrs = {{"detect_negative", AttrKind::kInt}, {"detect_positive", AttrKind::kInt}},
      .infer = infer_float_test,
      .evaluate = evaluate_is_inf,
      .axes = tie_elementwise,
      .half_since = 20};
  return def;
}

const OpDef& op_Where() {
  static const OpDef def{.name = "Where",
                         .versions = {9, 16},
                         .inputs = {3, 3},
                         .outputs = {1, 1},
                         .infer = infer_where,
                         .evaluate = evaluate_where,
                         .axes = tie_elementwise};
  return def;
}

}  // namespace lapidary
