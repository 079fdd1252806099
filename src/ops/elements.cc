#include "src/ops/elements.h"

#include <algorithm>

namespace lapidary {

Shape broadcast_shape(std::span<const Shape> shapes) {
  size_t rank = 0;
  for (const Shape& s : shapes) rank = std::max(rank, s.size());
  Shape out(rank, 1);
  for (const Shape& s : shapes)
    for (size_t i = 0; i < s.size(); ++i) {
      int64_t& to = out[i + rank - s.size()];
      if (to == s[i] || s[i] == 1) continue;
      if (to != 1) fail_invalid("shapes do not broadcast: size {} against {}", to, s[i]);
      to = s[i];
    }
  return out;
}

std::vector<int64_t> broadcast_strides(std::span<const int64_t> shape,
                                       std::span<const int64_t> out) {
  std::vector<int64_t> strides(out.size());
  const std::vector<int64_t> own = row_major_strides(shape);
  const size_t lead = out.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) strides[lead + i] = shape[i] == 1 ? 0 : own[i];
  return strides;
}

std::vector<int64_t> row_major_strides(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

void infer_same(InferContext& context) {
  context.set_type(0, context.type(0));
  if (auto value = context.shape_value(0)) context.set_shape_value(0, std::move(*value));
}

void infer_same_float(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  context.set_type(0, context.type(0));
}

void infer_broadcast(InferContext& context, DType dtype) {
  TensorType out{dtype == DType::kUndefined ? context.dtype(0) : dtype, std::vector<Dim>{}};
  for (size_t i = 0; i < context.input_count(); ++i) {
    context.require_same_dtype(0, i);
    if (!out.shape) continue;
    try {
      out.shape = broadcast_shapes(&*out.shape, context.shape(i));
    } catch (const Error& error) {
      fail_invalid("inputs do not broadcast: {} (input {} is {})", error.message(), i,
                   context.type(i).text());
    }
  }
  context.set_type(0, std::move(out));
}

}  // namespace lapidary
