#include <algorithm>

#include "src/base/fail.h"
#include "src/ops/evaluate.h"
#include "src/ops/infer.h"

namespace lapidary {

namespace {

std::vector<int64_t> integer_elements(const Tensor& tensor) {
  if (tensor.dtype() == DType::kI64) {
    const auto data = tensor.data<int64_t>();
    return {data.begin(), data.end()};
  }
  if (tensor.dtype() == DType::kI32) {
    const auto data = tensor.data<int32_t>();
    return {data.begin(), data.end()};
  }
  fail_invalid("expected int32 or int64 elements, found {}", dtype_name(tensor.dtype()));
}

bool holds_integers(const Tensor* tensor) {
  return tensor && (tensor->dtype() == DType::kI64 || tensor->dtype() == DType::kI32);
}

Dim broadcast_dim(const Dim& a, const Dim& b) {
  if (a == b && (a.known() || !a.symbol.empty())) return a;
  if (a.known() && b.known()) {
    if (a.value == 1) return b;
    if (b.value == 1) return a;
    fail_invalid("sizes {} and {} cannot be broadcast", a.value, b.value);
  }
  // A size other than 1 decides; 1 leaves it to the other side.
  if (a.known()) return a.value == 1 ? b : a;
  if (b.known()) return b.value == 1 ? a : b;
  return {};
}

}  // namespace

const TensorType& InferContext::type(size_t i) const {
  static const TensorType kAbsent;
  return has_input(i) ? inputs_[i].type : kAbsent;
}

const std::vector<Dim>* InferContext::shape(size_t i) const {
  const TensorType& t = type(i);
  return t.shape ? &*t.shape : nullptr;
}

std::optional<std::vector<int64_t>> InferContext::ints(size_t i) const {
  if (!has_input(i)) return std::nullopt;
  if (const Tensor* t = constant(i)) return integer_elements(*t);
  if (!inputs_[i].shape_value) return std::nullopt;
  std::vector<int64_t> out;
  for (const Dim& d : *inputs_[i].shape_value) {
    if (!d.known()) return std::nullopt;
    out.push_back(d.value);
  }
  return out;
}

std::optional<ShapeValue> InferContext::shape_value(size_t i) const {
  if (!has_input(i)) return std::nullopt;
  const Tensor* t = constant(i);
  if (!holds_integers(t)) return inputs_[i].shape_value;
  if (t->rank() > 1) return std::nullopt;
  ShapeValue out;
  for (int64_t v : integer_elements(*t)) out.push_back(v >= 0 ? Dim(v) : Dim());
  return out;
}

void InferContext::set_type(size_t output, TensorType type) {
  if (output < types_.size()) types_[output] = std::move(type);
}

void InferContext::set_shape_value(size_t output, ShapeValue value) {
  if (output < shape_values_.size()) shape_values_[output] = std::move(value);
}

void InferContext::require_rank(size_t input, int64_t min, int64_t max) const {
  const auto* dims = shape(input);
  if (dims == nullptr) return;
  const auto rank = static_cast<int64_t>(dims->size());
  if (rank >= min && (max < 0 || rank <= max)) return;
  fail_invalid("input {} is {}, expected rank {}", input, type(input).text(),
               max < 0      ? fmt::format("{} or more", min)
               : min == max ? fmt::format("{}", min)
                            : fmt::format("{} to {}", min, max));
}

void InferContext::require_same_dtype(size_t a, size_t b) const {
  const DType x = dtype(a), y = dtype(b);
  if (x == y || x == DType::kUndefined || y == DType::kUndefined) return;
  fail_invalid("input {} is {} and input {} is {}, expected one element type", a, type(a).text(), b,
               type(b).text());
}

void InferContext::require_dtype(size_t input, std::span<const DType> allowed) const {
  const DType found = dtype(input);
  if (found == DType::kUndefined || std::ranges::count(allowed, found) > 0) return;
  std::vector<std::string> names;
  for (DType t : allowed) names.push_back(dtype_name(t));
  fail_invalid("input {} is {}, expected {}", input, type(input).text(), fmt::join(names, ", "));
}

void InferContext::require_inputs(size_t max) const {
  if (inputs_.size() > max)
    fail_invalid("{} inputs, version {} has {}", inputs_.size(), version(), max);
}

int64_t InferContext::normalize_axis(int64_t axis, int64_t rank, std::string_view what) {
  if (axis < -rank || axis >= rank)
    fail_invalid("{} {} is outside [{}, {}) of rank {}", what, axis, -rank, rank, rank);
  return axis < 0 ? axis + rank : axis;
}

std::vector<Dim> broadcast_dims(std::span<const Dim> a, std::span<const Dim> b) {
  const size_t rank = std::max(a.size(), b.size());
  std::vector<Dim> out(rank);
  for (size_t i = 0; i < rank; ++i) {
    const Dim x = i + a.size() >= rank ? a[i + a.size() - rank] : Dim(1);
    const Dim y = i + b.size() >= rank ? b[i + b.size() - rank] : Dim(1);
    out[i] = broadcast_dim(x, y);
  }
  return out;
}

std::optional<std::vector<Dim>> broadcast_shapes(const std::vector<Dim>* a,
                                                 const std::vector<Dim>* b) {
  if (a == nullptr || b == nullptr) return std::nullopt;
  return broadcast_dims(*a, *b);
}

Dim unify_dim(const Dim& a, const Dim& b) {
  if (a.known() && b.known() && a.value != b.value)
    fail_invalid("sizes {} and {} must be equal", a.value, b.value);
  if (a.known()) return a;
  if (b.known()) return b;
  return a.symbol.empty() ? b : a;
}

const Tensor& EvalContext::input(size_t i) const {
  if (!has_input(i)) fail_invalid("input {} is absent", i);
  return *inputs_[i];
}

void EvalContext::set_output(size_t i, Tensor value) {
  if (i < outputs_.size()) outputs_[i] = std::move(value);
}

std::vector<int64_t> EvalContext::ints(size_t i) const { return integer_elements(input(i)); }

}  // namespace lapidary
