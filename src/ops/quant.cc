#include "src/ops/quant.h"

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"

namespace lapidary {

QuantRange quant_range(DType dtype) {
  switch (dtype) {
    case DType::kU8:
      return {0, 255};
    case DType::kI8:
      return {-128, 127};
    case DType::kU16:
      return {0, 65535};
    case DType::kI16:
      return {-32768, 32767};
    case DType::kI32:
      return {INT32_MIN, INT32_MAX};
    case DType::kU4:
      return {0, 15};
    case DType::kI4:
      return {-8, 7};
    case DType::kU2:
      return {0, 3};
    case DType::kI2:
      return {-2, 1};
    default:
      fail_unsupported("quantized elements of type {} are not computed", dtype_name(dtype));
  }
}

namespace {

/// The C++ type that holds a quantized dtype in memory.
template <class F>
void dispatch_quantized(DType dtype, F&& f) {
  quant_range(dtype);
  if (dtype == DType::kU4 || dtype == DType::kU2) dtype = DType::kU8;
  if (dtype == DType::kI4 || dtype == DType::kI2) dtype = DType::kI8;
  dispatch<Types<uint8_t, int8_t, uint16_t, int16_t, int32_t>>(dtype, std::forward<F>(f));
}

}  // namespace

std::vector<int32_t> read_quantized(const Tensor& tensor) {
  std::vector<int32_t> out;
  dispatch_quantized(tensor.dtype(), [&]<class T>() {
    const auto data = tensor.data<T>();
    out.assign(data.begin(), data.end());
  });
  return out;
}

std::vector<float> read_float8(const Tensor& tensor) {
  const auto* codes = static_cast<const uint8_t*>(tensor.raw());
  std::vector<float> out(static_cast<size_t>(tensor.size()));
  for (size_t i = 0; i < out.size(); ++i) out[i] = from_float8(codes[i], tensor.dtype());
  return out;
}

Tensor make_quantized(DType dtype, Shape shape, std::span<const int32_t> values) {
  Tensor out(dtype, std::move(shape));
  dispatch_quantized(dtype, [&]<class T>() {
    auto to = out.mutable_data<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<T>(values[i]);
  });
  return out;
}

void check_scale(const Tensor& scale) {
  const std::vector<float> values = read_as<float>(scale);
  for (size_t i = 0; i < values.size(); ++i)
    if (!(values[i] > 0) || !std::isnormal(values[i]))
      fail_invalid("scale {} is {}, expected a positive normal number", i, values[i]);
}

void infer_scalar_scale(const InferContext& context, size_t scale, std::span<const DType> allowed) {
  context.require_dtype(scale, allowed);
  context.require_rank(scale, 0, 1);
  if (const auto* shape = context.shape(scale))
    for (const Dim& d : *shape)
      if (d.known() && d.value != 1)
        fail_invalid("scale (input {}) is {}, expected one element", scale,
                     context.type(scale).text());
  if (const Tensor* known = context.constant(scale)) check_scale(*known);
}

void infer_zero_point(const InferContext& context, size_t zero_point, size_t scale) {
  if (!context.has_input(zero_point)) return;
  const auto* zp = context.shape(zero_point);
  const auto* s = context.shape(scale);
  if (zp == nullptr || s == nullptr) return;
  const auto count = [](const std::vector<Dim>& dims) {
    int64_t n = 1;
    for (const Dim& d : dims) n = d.known() && n >= 0 ? checked_mul(n, d.value) : -1;
    return n;
  };
  // A scalar and one element of rank 1 are the same thing to every tool.
  if (zp->size() <= 1 && s->size() <= 1 && count(*zp) == 1 && count(*s) == 1) return;
  bool equal = zp->size() == s->size();
  for (size_t i = 0; equal && i < s->size(); ++i)
    equal = !(*zp)[i].known() || !(*s)[i].known() || (*zp)[i].value == (*s)[i].value;
  if (!equal)
    fail_invalid("the zero point is {}, its scale {}: shapes must be equal",
                 context.type(zero_point).text(), context.type(scale).text());
}

float read_scale(const EvalContext& context, size_t scale) {
  const Tensor& t = context.input(scale);
  if (t.size() != 1) fail_invalid("scale (input {}) has {} elements, expected 1", scale, t.size());
  check_scale(t);
  return read_as<float>(t)[0];
}

int32_t read_zero_point(const EvalContext& context, size_t zero_point) {
  if (!context.has_input(zero_point)) return 0;
  const Tensor& t = context.input(zero_point);
  if (t.size() != 1)
    fail_invalid("zero point (input {}) has {} elements, expected 1", zero_point, t.size());
  return read_quantized(t)[0];
}

void infer_slice_scales(const InferContext& context, size_t scale, const Dim& count,
                        std::span<const DType> allowed) {
  context.require_dtype(scale, allowed);
  context.require_rank(scale, 0, 1);
  if (const Tensor* known = context.constant(scale)) check_scale(*known);
  const auto* shape = context.shape(scale);
  if (shape == nullptr || shape->empty() || !(*shape)[0].known() || (*shape)[0].value == 1) return;
  if (count.known() && (*shape)[0].value != count.value)
    fail_invalid("scale (input {}) is {}, expected 1 or {} elements", scale,
                 context.type(scale).text(), count.value);
}

namespace {

template <class T>
std::vector<T> repeated(std::vector<T> values, size_t input, int64_t count) {
  if (values.size() == 1) values.assign(static_cast<size_t>(count), T(values[0]));
  if (static_cast<int64_t>(values.size()) != count)
    fail_invalid("input {} has {} elements, expected 1 or {}", input, values.size(), count);
  return values;
}

}  // namespace

std::vector<float> read_scales(const EvalContext& context, size_t scale, int64_t count) {
  check_scale(context.input(scale));
  return repeated(read_as<float>(context.input(scale)), scale, count);
}

std::vector<int32_t> read_zero_points(const EvalContext& context, size_t zero_point,
                                      int64_t count) {
  if (!context.has_input(zero_point)) return std::vector<int32_t>(static_cast<size_t>(count));
  return repeated(read_quantized(context.input(zero_point)), zero_point, count);
}

std::vector<int32_t> read_centered(const EvalContext& context, size_t x, size_t zero_point) {
  const int32_t zero = read_zero_point(context, zero_point);
  std::vector<int32_t> out = read_quantized(context.input(x));
  for (int32_t& v : out) v -= zero;
  return out;
}

QuantLayout quant_layout(const AttrView& attrs, const Shape& x, const Shape& scale) {
  QuantLayout out;
  const int64_t block = attrs.get_int("block_size", 0);
  if (block == 0 && element_count(scale) == 1) return out;
  const auto rank = static_cast<int64_t>(x.size());
  const auto axis =
      static_cast<size_t>(InferContext::normalize_axis(attrs.get_int("axis", 1), rank));
  out.kind = block > 0 ? QuantLayout::Kind::kBlocks : QuantLayout::Kind::kAxis;
  out.outer = element_count(std::span(x).first(axis));
  out.dim = x[axis];
  out.inner = element_count(std::span(x).subspan(axis + 1));
  out.block = block > 0 ? block : 1;
  return out;
}

namespace {

void infer_axis_scale(const InferContext& context, const std::vector<Dim>& x, const Dim& scale) {
  const auto rank = static_cast<int64_t>(x.size());
  const int64_t axis = InferContext::normalize_axis(context.attrs().get_int("axis", 1), rank);
  const Dim& dim = x[static_cast<size_t>(axis)];
  if (scale.known() && dim.known() && scale.value != dim.value)
    fail_invalid("{} scales along axis {}, which has {} elements", scale.value, axis, dim.value);
}

void infer_block_scales(const InferContext& context, const std::vector<Dim>& x,
                        const std::vector<Dim>& scale, int64_t block) {
  const auto rank = static_cast<int64_t>(x.size());
  const int64_t axis = InferContext::normalize_axis(context.attrs().get_int("axis", 1), rank);
  if (scale.size() != x.size())
    fail_invalid("blocked scales are {}, expected rank {}", context.type(1).text(), rank);
  for (size_t i = 0; i < x.size(); ++i) {
    if (!x[i].known() || !scale[i].known()) continue;
    const int64_t size = x[i].value;
    const int64_t expected =
        static_cast<int64_t>(i) == axis ? size / block + (size % block > 0) : size;
    if (scale[i].value != expected)
      fail_invalid("{} scales along axis {} of size {}, expected {} (block_size {}, axis {})",
                   scale[i].value, i, size, expected, block, axis);
  }
}

}  // namespace

void tie_quantized(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  const int64_t axis = flow.attrs().get_int("axis", 1);
  if (flow.attrs().get_int("block_size", 0) == 0) {
    const bool list = flow.input_rank(1) == 1 && flow.input_shape(1)[0] != 1 &&
                      axis < flow.input_rank(0);  // a single one of an x of rank 1: axis 1
    for (size_t i : {1u, 2u})
      if (list) tie_parameter(flow, i, flow.input(0, axis));
    return;
  }
  const int64_t blocked = InferContext::normalize_axis(axis, flow.input_rank(0));
  flow.freeze(flow.input(0, blocked), "quantized in blocks along it");
  for (size_t i : {1u, 2u})
    for (int64_t d = 0; flow.has_input(i) && d < flow.input_rank(0); ++d)
      if (d != blocked) tie_or_freeze(flow, flow.input(i, d), flow.input(0, d));
}

void infer_quant_params(const InferContext& context) {
  const int64_t block = context.attrs().get_int("block_size", 0);
  if (block < 0) fail_invalid("block_size is {}, expected 0 or more", block);
  const auto* x = context.shape(0);
  const auto* scale = context.shape(1);
  infer_zero_point(context, 2, 1);
  if (const Tensor* known = context.constant(1); known && is_float(known->dtype()))
    check_scale(*known);
  if (x == nullptr || scale == nullptr) return;
  if (block > 0) return infer_block_scales(context, *x, *scale, block);
  context.require_rank(1, 0, 1);
  const bool one = scale->empty() || (*scale)[0] == Dim(1);
  if (!one) infer_axis_scale(context, *x, (*scale)[0]);
}

}  // namespace lapidary
