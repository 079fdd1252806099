#include <algorithm>
#include <array>
#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/qlinear_softmax.h"
#include "src/ops/quant.h"

// Elementwise ops of com.microsoft on quantized tensors, in float32 unless said otherwise:
// x = (q - zx) sx, q(v) = saturate(round(v / sy) + zy).
// QLinearAdd: ra = sa/sc, rb = sb/sc, f = zc - (ra za + rb zb);
//             saturate(round(fma(a, ra, fma(b, rb, f))))
// QLinearMul: saturate(round(float((a - za) (b - zb)) * ((sa sb) / sc) + zc))
// QLinearSigmoid, QLinearLeakyRelu, QLinearConcat, QLinearWhere: q(f(x))
// QLinearSoftmax: qlinear_softmax.h

namespace lapidary {

namespace {

/// A quantized operand is three inputs: elements, scale, zero point (perhaps absent).
void infer_operand(const InferContext& context, size_t x) {
  context.require_dtype(x, kByteDTypes);
  if (context.has_input(x + 2)) context.require_same_dtype(x, x + 2);
  infer_scalar_scale(context, x + 1);
  infer_zero_point(context, x + 2, x + 1);
}

/// Scale and zero point of the result.
void infer_result_scale(const InferContext& context, size_t like, size_t scale) {
  infer_scalar_scale(context, scale);
  infer_zero_point(context, scale + 1, scale);
  if (context.has_input(scale + 1)) context.require_same_dtype(like, scale + 1);
}

// -- QLinearAdd, QLinearMul: a, sa, za, b, sb, zb, sc, zc

void infer_binary(InferContext& context) {
  infer_operand(context, 0);
  infer_operand(context, 3);
  context.require_same_dtype(0, 3);
  infer_result_scale(context, 0, 6);
  context.set_type(
      0, TensorType{context.dtype(0), broadcast_shapes(context.shape(0), context.shape(3))});
}

struct BinaryParams {
  float a_scale, b_scale, c_scale;
  int32_t a_zero, b_zero, c_zero;
};

template <class F>
void evaluate_binary(EvalContext& context, F make) {
  const BinaryParams p{read_scale(context, 1),      read_scale(context, 4),
                       read_scale(context, 6),      read_zero_point(context, 2),
                       read_zero_point(context, 5), read_zero_point(context, 7)};
  const auto f = make(p);
  const Tensor &a = context.input(0), &b = context.input(3);
  const QuantRange range = quant_range(a.dtype());
  const Shape shape = broadcast_shape(std::array{a.shape(), b.shape()});
  const std::array strides{broadcast_strides(a.shape(), shape),
                           broadcast_strides(b.shape(), shape)};
  const std::vector<int32_t> x = read_quantized(a), y = read_quantized(b);
  std::vector<int32_t> out(static_cast<size_t>(element_count(shape)));
  for_each_broadcast(shape, strides, [&](int64_t i, const std::array<int64_t, 2>& at) {
    out[static_cast<size_t>(i)] =
        saturate(f(x[static_cast<size_t>(at[0])], y[static_cast<size_t>(at[1])]), 0, range);
  });
  context.set_output(0, make_quantized(a.dtype(), shape, out));
}

void evaluate_add(EvalContext& context) {
  evaluate_binary(context, [](const BinaryParams& p) {
    const float ra = p.a_scale / p.c_scale, rb = p.b_scale / p.c_scale;
    // One product of the sum is fused, as in ONNX Runtime's kernel: rounded apart, 1 in 800,000
    // results differ.
    const float from_b = rb * static_cast<float>(p.b_zero);
    const float fixed =
        static_cast<float>(p.c_zero) - std::fma(ra, static_cast<float>(p.a_zero), from_b);
    return [=](int32_t a, int32_t b) {
      return std::fma(static_cast<float>(a), ra, std::fma(static_cast<float>(b), rb, fixed));
    };
  });
}

void evaluate_mul(EvalContext& context) {
  evaluate_binary(context, [](const BinaryParams& p) {
    const float scale = (p.a_scale * p.b_scale) / p.c_scale;
    return [=](int32_t a, int32_t b) {
      const auto product = static_cast<float>((a - p.a_zero) * (b - p.b_zero));
      return product * scale + static_cast<float>(p.c_zero);
    };
  });
}

// -- one operand: x, sx, zx, sy, zy

void infer_unary(InferContext& context) {
  infer_operand(context, 0);
  infer_result_scale(context, 0, 3);
  context.set_type(0, context.type(0));
}

/// f on each x in float32, quantized again.
template <class F>
std::vector<int32_t> requantize(std::span<const int32_t> centered, float scale, float y_scale,
                                int32_t y_zero, QuantRange range, F f) {
  std::vector<int32_t> out(centered.size());
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = saturate(f(static_cast<float>(centered[i]) * scale) / y_scale, y_zero, range);
  return out;
}

template <class F>
void evaluate_unary(EvalContext& context, F f) {
  const Tensor& x = context.input(0);
  const std::vector<int32_t> y =
      requantize(read_centered(context, 0, 2), read_scale(context, 1), read_scale(context, 3),
                 read_zero_point(context, 4), quant_range(x.dtype()), f);
  context.set_output(0, make_quantized(x.dtype(), x.shape(), y));
}

// 1 / (1 + e^-x) as the rational function x P(x^2) / Q(x^2) + 1/2 of ONNX Runtime's kernel: its
// error of a few ulp decides which way values near a tie are rounded, so its coefficients are part
// of the op.
float logistic(float x) {
  constexpr std::array kP = {4.37031012579801e-11f, 1.15627324459942e-07f, 6.08574864600143e-05f,
                             8.51377133304701e-03f, 2.48287947061529e-01f};
  constexpr std::array kQ = {6.10247389755681e-13f, 5.76102136993427e-09f, 6.29106785017040e-06f,
                             1.70198817374094e-03f, 1.16817656904453e-01f, 9.93151921023180e-01f};
  const float v = std::clamp(x, -18.0f, 18.0f), square = v * v;
  float p = kP[0], q = kQ[0];
  for (size_t i = 1; i < kP.size(); ++i) p = std::fma(p, square, kP[i]);
  for (size_t i = 1; i < kQ.size(); ++i) q = std::fma(q, square, kQ[i]);
  return std::clamp(p * v / q + 0.5f, 0.0f, 1.0f);
}

void evaluate_sigmoid(EvalContext& context) { evaluate_unary(context, logistic); }

void evaluate_leaky_relu(EvalContext& context) {
  const float alpha = context.attrs().get_float("alpha", 0.01f);
  evaluate_unary(context, [alpha](float x) { return x >= 0 ? x : alpha * x; });
}

// -- QLinearSoftmax: `opset` says which Softmax is meant

/// First axis of a row, and whether it is the only one.
struct SoftmaxAxis {
  size_t axis;
  bool only;
};
SoftmaxAxis softmax_axis(const AttrView& attrs, int64_t rank) {
  const bool only = attrs.get_int("opset", 13) >= 13;
  const int64_t axis = attrs.get_int("axis", only ? -1 : 1);
  return {static_cast<size_t>(InferContext::normalize_axis(axis, rank)), only};
}

void infer_softmax(InferContext& context) {
  infer_unary(context);
  if (const auto* x = context.shape(0))
    softmax_axis(context.attrs(), static_cast<int64_t>(x->size()));
}

void evaluate_softmax(EvalContext& context) {
  const Tensor& x = context.input(0);
  const auto [axis, only] = softmax_axis(context.attrs(), x.rank());
  const std::span<const int64_t> shape = x.shape();
  const int64_t length = only ? shape[axis] : element_count(shape.subspan(axis));
  const int64_t inner = only ? element_count(shape.subspan(axis + 1)) : 1;
  const SoftmaxTable table(read_scale(context, 1), read_scale(context, 3),
                           std::max<int64_t>(1, length));
  const int32_t y_zero = read_zero_point(context, 4);
  const std::vector<int32_t> in = read_quantized(x);
  std::vector<int32_t> out(in.size());
  for (int64_t r = 0; r < x.size() / std::max<int64_t>(1, length); ++r) {
    const int64_t first = r / inner * inner * length + r % inner;
    table.row(in.data() + first, out.data() + first, length, inner, y_zero,
              quant_range(x.dtype()).max);
  }
  context.set_output(0, make_quantized(x.dtype(), x.shape(), out));
}

// -- QLinearConcat: sy, zy, then x, sx, zx for each operand

size_t concat_count(const InferContext& context) {
  const size_t inputs = context.input_count();
  if (inputs % 3 != 2) fail_invalid("{} inputs, expected 2 and three for each operand", inputs);
  return (inputs - 2) / 3;
}

void infer_concat(InferContext& context) {
  const size_t count = concat_count(context);
  infer_result_scale(context, 2, 0);
  TensorType out = context.type(2);
  for (size_t i = 0; i < count; ++i) {
    const size_t x = 2 + 3 * i;
    infer_operand(context, x);
    context.require_same_dtype(2, x);
    const auto* shape = context.shape(x);
    if (shape == nullptr || !out.shape) {
      out.shape.reset();
      continue;
    }
    const auto rank = static_cast<int64_t>(out.shape->size());
    context.require_rank(x, rank, rank);
    const auto axis =
        static_cast<size_t>(InferContext::normalize_axis(context.attrs().get_int("axis", 0), rank));
    for (size_t d = 0; d < shape->size(); ++d) {
      Dim& to = (*out.shape)[d];
      const Dim& from = (*shape)[d];
      if (d != axis)
        to = unify_dim(to, from);
      else if (i > 0)
        to = to.known() && from.known() ? Dim(to.value + from.value) : Dim();
    }
  }
  context.set_type(0, std::move(out));
}

void evaluate_concat(EvalContext& context) {
  const size_t count = (context.input_count() - 2) / 3;
  const Tensor& first = context.input(2);
  const float y_scale = read_scale(context, 0);
  const int32_t y_zero = read_zero_point(context, 1);
  const auto axis = static_cast<size_t>(
      InferContext::normalize_axis(context.attrs().get_int("axis", 0), first.rank()));
  Shape shape = first.shape();
  shape[axis] = 0;
  for (size_t i = 0; i < count; ++i) shape[axis] += context.input(2 + 3 * i).shape()[axis];
  const auto tail = [&](const Shape& s) { return element_count(std::span(s).subspan(axis)); };
  const int64_t row = tail(shape), rows = element_count(std::span(shape).first(axis));
  std::vector<int32_t> out(static_cast<size_t>(element_count(shape)));
  int64_t begin = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t x = 2 + 3 * i;
    const int64_t own = tail(context.input(x).shape());
    const std::vector<int32_t> part =
        requantize(read_centered(context, x, x + 2), read_scale(context, x + 1), y_scale, y_zero,
                   quant_range(first.dtype()), [](float v) { return v; });
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(part.begin() + r * own, own, out.begin() + r * row + begin);
    begin += own;
  }
  context.set_output(0, make_quantized(first.dtype(), shape, out));
}

// -- QLinearWhere: condition, x, sx, zx, y, sy, zy, sz, zz

void infer_where(InferContext& context) {
  constexpr std::array kBool{DType::kBool};
  context.require_dtype(0, kBool);
  infer_operand(context, 1);
  infer_operand(context, 4);
  context.require_same_dtype(1, 4);
  infer_result_scale(context, 1, 7);
  const auto both = broadcast_shapes(context.shape(1), context.shape(4));
  context.set_type(
      0, TensorType{context.dtype(1), broadcast_shapes(context.shape(0), both ? &*both : nullptr)});
}

void evaluate_where(EvalContext& context) {
  const Tensor &condition = context.input(0), &x = context.input(1), &y = context.input(4);
  const auto requantized = [&](size_t operand) {
    return requantize(read_centered(context, operand, operand + 2),
                      read_scale(context, operand + 1), read_scale(context, 7),
                      read_zero_point(context, 8), quant_range(x.dtype()),
                      [](float v) { return v; });
  };
  const std::vector<int32_t> yes = requantized(1), no = requantized(4);
  const Shape shape = broadcast_shape(std::array{condition.shape(), x.shape(), y.shape()});
  const std::array strides{broadcast_strides(condition.shape(), shape),
                           broadcast_strides(x.shape(), shape),
                           broadcast_strides(y.shape(), shape)};
  const auto chosen = condition.data<bool>();
  std::vector<int32_t> out(static_cast<size_t>(element_count(shape)));
  for_each_broadcast(shape, strides, [&](int64_t i, const std::array<int64_t, 3>& at) {
    out[static_cast<size_t>(i)] = chosen[static_cast<size_t>(at[0])]
                                      ? yes[static_cast<size_t>(at[1])]
                                      : no[static_cast<size_t>(at[2])];
  });
  context.set_output(0, make_quantized(x.dtype(), shape, out));
}

/// Operands 0; 0 and 3; of QLinearWhere 0, 1 and 4.
void unary_axes(AxisFlow& flow) { tie_same(flow, 0, 0); }
void binary_axes(AxisFlow& flow) { tie_elementwise(flow, std::array<size_t, 2>{0, 3}); }
void where_axes(AxisFlow& flow) { tie_elementwise(flow, std::array<size_t, 3>{0, 1, 4}); }

OpDef row(std::string_view name, Arity inputs, int output_scale, std::vector<AttrSpec> attrs,
          void (*infer)(InferContext&), void (*evaluate)(EvalContext&),
          void (*axes)(AxisFlow&) = nullptr) {
  return {.domain = "com.microsoft",
          .name = name,
          .versions = {1},
          .inputs = inputs,
          .outputs = {1, 1},
          .attrs = std::move(attrs),
          .infer = infer,
          .evaluate = evaluate,
          .axes = axes,
          .role = QuantRole::kInteger,
          .output_scale = output_scale};
}

}  // namespace

#define LAPIDARY_ROW(op, ...)            \
  const OpDef& op_com_microsoft_##op() { \
    static const OpDef def(__VA_ARGS__); \
    return def;                          \
  }

LAPIDARY_ROW(QLinearAdd, row("QLinearAdd", {7, 8}, 6, {}, infer_binary, evaluate_add, binary_axes))
LAPIDARY_ROW(QLinearMul, row("QLinearMul", {7, 8}, 6, {}, infer_binary, evaluate_mul, binary_axes))
LAPIDARY_ROW(QLinearSigmoid,
             row("QLinearSigmoid", {4, 5}, 3, {}, infer_unary, evaluate_sigmoid, unary_axes))
LAPIDARY_ROW(QLinearLeakyRelu, row("QLinearLeakyRelu", {4, 5}, 3, {{"alpha", AttrKind::kFloat}},
                                   infer_unary, evaluate_leaky_relu, unary_axes))
LAPIDARY_ROW(QLinearSoftmax, row("QLinearSoftmax", {5, 5}, 3,
                                 {{"axis", AttrKind::kInt}, {"opset", AttrKind::kInt, true}},
                                 infer_softmax, evaluate_softmax))
LAPIDARY_ROW(QLinearConcat, row("QLinearConcat", {5, -1}, 0, {{"axis", AttrKind::kInt, true}},
                                infer_concat, evaluate_concat))
LAPIDARY_ROW(QLinearWhere,
             row("QLinearWhere", {9, 9}, 7, {}, infer_where, evaluate_where, where_axes))

#undef LAPIDARY_ROW

}  // namespace lapidary
