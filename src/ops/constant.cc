#include "src/base/checked.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

// -- Constant: exactly one of the value attributes

Tensor constant_value(const AttrView& attrs) {
  int given = 0;
  for (const auto& [name, attr] : attrs.node().attrs)
    given += name.starts_with("value") || name == "sparse_value";
  if (given != 1) fail_invalid("{} value attributes, expected one", given);
  if (attrs.has("sparse_value")) fail_unsupported("sparse constants are not supported");
  if (const Tensor* value = attrs.get_tensor("value")) return *value;
  if (attrs.has("value_float")) return Tensor::scalar<float>(attrs.get_float("value_float", 0));
  if (attrs.has("value_int")) return Tensor::scalar<int64_t>(attrs.get_int("value_int", 0));
  if (attrs.has("value_string"))
    return Tensor::scalar<std::string>(attrs.get_string("value_string", ""));
  const auto list = [](const auto& values) {
    using T = typename std::decay_t<decltype(values)>::value_type;
    return Tensor::of<T>({std::ssize(values)}, values);
  };
  if (attrs.has("value_ints")) return list(attrs.get_ints("value_ints"));
  if (attrs.has("value_floats")) return list(attrs.get_floats("value_floats"));
  const Attr* strings = attrs.node().attr("value_strings");
  if (const auto* values = strings ? std::get_if<std::vector<std::string>>(strings) : nullptr)
    return list(*values);
  fail_invalid("no value attribute of a type that a constant can have");
}

void infer_constant(InferContext& ctx) {
  const Tensor value = constant_value(ctx.attrs());
  ctx.set_type(0, tensor_type(value));
  if (value.rank() > 1 || value.dtype() != DType::kI64) return;
  ShapeValue known;
  for (int64_t v : value.data<int64_t>()) known.push_back(v >= 0 ? Dim(v) : Dim());
  ctx.set_shape_value(0, std::move(known));
}

void evaluate_constant(EvalContext& ctx) { ctx.set_output(0, constant_value(ctx.attrs())); }

// -- ConstantOfShape

/// The one element that fills the output: float 0 without the attribute.
Tensor filling(const AttrView& attrs) {
  const Tensor* value = attrs.get_tensor("value");
  if (value == nullptr) return Tensor::of<float>({1}, {0.0f});
  if (value->size() != 1) fail_invalid("value has {} elements, expected 1", value->size());
  return *value;
}

void check_sizes(std::span<const int64_t> shape) {
  for (int64_t size : shape)
    if (size < 0) fail_invalid("shape {} holds a negative size", shape_text(shape));
  element_count(shape);
}

void infer_constant_of_shape(InferContext& ctx) {
  ctx.require_dtype(0, kI64Only);
  const auto rank = list_length(ctx, 0);
  const Tensor value = filling(ctx.attrs());
  ctx.set_type(0, value.dtype());
  if (const auto numbers = ctx.ints(0)) check_sizes(*numbers);
  const auto shape = ctx.shape_value(0);
  if (shape)
    ctx.set_type(0, value.dtype(), *shape);
  else if (rank)
    ctx.set_type(0, value.dtype(), std::vector<Dim>(static_cast<size_t>(*rank)));
  if (!shape || shape->size() != 1 || !(*shape)[0].known() || value.dtype() != DType::kI64) return;
  constexpr int64_t kMaxList = 1024;  // longer ones are no shapes
  const int64_t element = value.data<int64_t>()[0];
  if ((*shape)[0].value <= kMaxList && element >= 0)
    ctx.set_shape_value(0, ShapeValue(static_cast<size_t>((*shape)[0].value), element));
}

void evaluate_constant_of_shape(EvalContext& ctx) {
  const Shape shape = ctx.ints(0);
  check_sizes(shape);
  const Tensor value = filling(ctx.attrs());
  Tensor out(value.dtype(), shape);
  with_storage(value.dtype(), [&]<class T>(T) {
    std::fill_n(static_cast<T*>(out.mutable_raw()), out.size(),
                *static_cast<const T*>(value.raw()));
  });
  ctx.set_output(0, std::move(out));
}

}  // namespace

const OpDef& op_Constant() {
  static const OpDef def{
      .name = "Constant",
      .versions = {1, 9, 11, 12, 13, 19, 21, 23, 24, 25},
      .inputs = {0, 0},
      .outputs = {1, 1},
      .attrs = {{"value", AttrKind::kTensor},
                {"sparse_value", AttrKind::kOpaque, false, 11},
                {"value_float", AttrKind::kFloat, false, 12},
                {"value_floats", AttrKind::kFloats, false, 12},
                {"value_int", AttrKind::kInt, false, 12},
                {"value_ints", AttrKind::kInts, false, 12},
                {"value_string", AttrKind::kString, false, 12},
                {"value_strings", AttrKind::kStrings, false, 12}},
      .infer = infer_constant,
      .evaluate = evaluate_constant,
  };
  return def;
}

const OpDef& op_ConstantOfShape() {
  static const OpDef def{
      .name = "ConstantOfShape",
      .versions = {9, 20, 21, 23, 24, 25},
      .inputs = {1, 1},
      .outputs = {1, 1},
      .attrs = {{"value", AttrKind::kTensor}},
      .infer = infer_constant_of_shape,
      .evaluate = evaluate_constant_of_shape,
  };
  return def;
}

}  // namespace lapidary
