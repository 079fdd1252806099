#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/gemm.h"
#include "src/ops/matmul.h"
#include "src/ops/quant.h"

// acc = sum (a - za) (b - zb[n]), 32 bits that wrap; MatMulInteger gives acc, the others scale it
// in float32: QLinearMatMul         y = saturate(round(float(acc) * ((sa * sb[n]) / sy)) + zy)
// QGemm                 the same with alpha sa sb and an int32 C inside acc; without sy a float
// MatMulIntegerToFloat  y = float(acc) * (sa * sb[n]) + bias[n]

namespace lapidary {

namespace {

/// Where in a list of inputs the operands of a product are.
struct Operands {
  size_t a, a_zero, b, b_zero;
};

/// Elements minus zero points; a zero point for each row of a, or for each column of b.
std::vector<int32_t> centered_rows(const EvalContext& context, size_t x, size_t zero_point,
                                   int64_t rows, int64_t columns) {
  const std::vector<int32_t> zero = read_zero_points(context, zero_point, rows);
  std::vector<int32_t> out = read_quantized(context.input(x));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] -= zero[i / static_cast<size_t>(columns) % zero.size()];
  return out;
}
std::vector<int32_t> centered_columns(const EvalContext& context, size_t x, size_t zero_point,
                                      int64_t columns) {
  const std::vector<int32_t> zero = read_zero_points(context, zero_point, columns);
  std::vector<int32_t> out = read_quantized(context.input(x));
  for (size_t i = 0; i < out.size(); ++i) out[i] -= zero[i % zero.size()];
  return out;
}

/// store(row, column, acc) for every element of the product.
template <class Store>
void multiply(const EvalContext& context, const MatMulGeometry& g, Operands at, Store store) {
  if (g.k == 0 || g.n == 0 || g.m == 0) return;
  const std::vector<int32_t> a = centered_rows(context, at.a, at.a_zero, g.m, g.k);
  const std::vector<int32_t> b = centered_columns(context, at.b, at.b_zero, g.n);
  matmul<uint32_t, int32_t>(g, a, b, [&](int64_t row, std::span<const uint32_t> acc) {
    for (size_t n = 0; n < acc.size(); ++n) store(row, n, static_cast<int32_t>(acc[n]));
  });
}

void check_operand_types(const InferContext& context, Operands at) {
  context.require_dtype(at.a, kByteDTypes);
  context.require_dtype(at.b, kByteDTypes);
  if (context.has_input(at.a_zero)) context.require_same_dtype(at.a, at.a_zero);
  if (context.has_input(at.b_zero)) context.require_same_dtype(at.b, at.b_zero);
}

Dim last_dim(const InferContext& context, size_t input) {
  const auto* shape = context.shape(input);
  return shape && shape->size() > 1 ? shape->back() : Dim();
}

// -- MatMulInteger: a, b, za, zb

constexpr Operands kInteger{0, 2, 1, 3};

void infer_matmul_integer(InferContext& context) {
  check_operand_types(context, kInteger);
  context.set_type(0, TensorType{DType::kI32, matmul_output_shape(context, 0, 1)});
}

void evaluate_matmul_integer(EvalContext& context) {
  const MatMulGeometry g = matmul_geometry(context.input(0).shape(), context.input(1).shape());
  Tensor out(DType::kI32, g.output);
  auto y = out.mutable_data<int32_t>();
  multiply(context, g, kInteger, [&](int64_t row, size_t n, int32_t acc) {
    y[static_cast<size_t>(row * g.n) + n] = acc;
  });
  context.set_output(0, std::move(out));
}

// -- QLinearMatMul: a, sa, za, b, sb, zb, sy, zy

constexpr Operands kQLinear{0, 2, 3, 5};

/// Scales of `input` are one, one per row of a or column of b, or the same with unit axes in
/// between.
void infer_matrix_scale(const InferContext& context, size_t scale) {
  constexpr std::array kAllowed{DType::kF32, DType::kF16, DType::kBF16};
  context.require_dtype(scale, std::span(kAllowed).first(context.version() < 21 ? 1 : 3));
  context.require_same_dtype(1, scale);
  if (const Tensor* known = context.constant(scale)) check_scale(*known);
}

void infer_qlinear_matmul(InferContext& context) {
  constexpr std::array kAllowed{DType::kU8,         DType::kI8,     DType::kF8E4M3FN,
                                DType::kF8E4M3FNUZ, DType::kF8E5M2, DType::kF8E5M2FNUZ};
  for (size_t input : {0u, 3u, 7u}) context.require_dtype(input, kAllowed);
  context.require_same_dtype(0, 2);
  context.require_same_dtype(3, 5);
  infer_matrix_scale(context, 1);
  infer_matrix_scale(context, 4);
  infer_matrix_scale(context, 6);
  context.set_type(0, TensorType{context.dtype(7), matmul_output_shape(context, 0, 3)});
}

void evaluate_qlinear_matmul(EvalContext& context) {
  const MatMulGeometry g = matmul_geometry(context.input(0).shape(), context.input(3).shape());
  const DType dtype = context.input(7).dtype();
  const QuantRange range = quant_range(dtype);
  const std::vector<float> a_scale = read_scales(context, 1, g.m);
  const std::vector<float> b_scale = read_scales(context, 4, g.n);
  const float y_scale = read_scale(context, 6);
  const int32_t y_zero = read_zero_point(context, 7);
  std::vector<int32_t> y(static_cast<size_t>(element_count(g.output)), y_zero);
  multiply(context, g, kQLinear, [&](int64_t row, size_t n, int32_t acc) {
    const float multiplier = (a_scale[static_cast<size_t>(row % g.m)] * b_scale[n]) / y_scale;
    y[static_cast<size_t>(row * g.n) + n] =
        saturate(static_cast<float>(acc) * multiplier, y_zero, range);
  });
  context.set_output(0, make_quantized(dtype, g.output, y));
}

// -- MatMulIntegerToFloat: a, b, sa, sb, za, zb, bias

constexpr Operands kToFloat{0, 4, 1, 5};

void infer_to_float(InferContext& context) {
  check_operand_types(context, kToFloat);
  constexpr std::array kScale{DType::kF32, DType::kF16};
  infer_scalar_scale(context, 2, kScale);
  infer_slice_scales(context, 3, last_dim(context, 1), kScale);
  context.require_same_dtype(2, 3);
  context.require_same_dtype(2, 6);
  context.require_rank(6, 1, 1);
  context.set_type(0, TensorType{context.dtype(2), matmul_output_shape(context, 0, 1)});
}

void evaluate_to_float(EvalContext& context) {
  const MatMulGeometry g = matmul_geometry(context.input(0).shape(), context.input(1).shape());
  const float a_scale = read_scale(context, 2);
  const std::vector<float> b_scale = read_scales(context, 3, g.n);
  std::vector<float> bias(static_cast<size_t>(g.n));
  if (context.has_input(6)) bias = read_as<float>(context.input(6));
  if (static_cast<int64_t>(bias.size()) != g.n)
    fail_invalid("the bias has {} elements, expected {}", bias.size(), g.n);
  std::vector<float> y(static_cast<size_t>(element_count(g.output)));
  multiply(context, g, kToFloat, [&](int64_t row, size_t n, int32_t acc) {
    const float product = static_cast<float>(acc) * (a_scale * b_scale[n]);
    y[static_cast<size_t>(row * g.n) + n] = context.has_input(6) ? product + bias[n] : product;
  });
  context.set_output(0, make_from(context.input(2).dtype(), g.output, y));
}

// -- QGemm: A, sa, za, B, sb, zb, C, sy, zy

constexpr Operands kGemm{0, 2, 3, 5};

void infer_qgemm(InferContext& context) {
  check_operand_types(context, kGemm);
  constexpr std::array kInt32{DType::kI32};
  context.require_dtype(6, kInt32);
  const auto y = gemm_output_shape(context, 0, 3);
  infer_scalar_scale(context, 1);
  infer_slice_scales(context, 4, y ? (*y)[1] : Dim());
  if (context.has_input(7)) infer_scalar_scale(context, 7);
  if (context.has_input(7) != context.has_input(8))
    fail_invalid("y_scale and y_zero_point must be given together");
  check_gemm_bias(context, 6, y);
  context.set_type(0, TensorType{context.has_input(7) ? context.dtype(8) : DType::kF32, y});
}

/// C broadcast to y.
std::vector<int32_t> broadcast_bias(const EvalContext& context, const Shape& y) {
  std::vector<int32_t> out(static_cast<size_t>(element_count(y)));
  if (!context.has_input(6)) return out;
  const std::vector<int32_t> c = read_quantized(context.input(6));
  const std::array strides{broadcast_strides(context.input(6).shape(), y)};
  for_each_broadcast(y, strides, [&](int64_t i, const std::array<int64_t, 1>& at) {
    out[static_cast<size_t>(i)] = c[static_cast<size_t>(at[0])];
  });
  return out;
}

void evaluate_qgemm(EvalContext& context) {
  const Tensor &a = context.input(0), &b = context.input(3);
  const bool trans_a = context.attrs().get_int("transA", 0) != 0;
  const bool trans_b = context.attrs().get_int("transB", 0) != 0;
  const float alpha = context.attrs().get_float("alpha", 1);
  const MatMulGeometry g =
      matmul_geometry(transposed_shape(a.shape(), trans_a), transposed_shape(b.shape(), trans_b));
  const std::vector<float> b_scale = read_scales(context, 4, g.n);
  const float a_scale = read_scale(context, 1);
  const std::vector<int32_t> left = transposed(read_centered(context, 0, 2), a.shape(), trans_a);
  std::vector<int32_t> right = transposed(read_quantized(b), b.shape(), trans_b);
  const std::vector<int32_t> b_zero = read_zero_points(context, 5, g.n);
  for (size_t i = 0; i < right.size(); ++i) right[i] -= b_zero[i % b_zero.size()];
  const std::vector<int32_t> c = broadcast_bias(context, g.output);
  const bool quantized = context.has_input(7);
  const float y_scale = quantized ? read_scale(context, 7) : 1;
  const int32_t y_zero = quantized ? read_zero_point(context, 8) : 0;
  const DType dtype = quantized ? context.input(8).dtype() : DType::kF32;
  std::vector<float> y(c.size());
  std::vector<int32_t> q(c.size());
  matmul<uint32_t, int32_t>(g, left, right, [&](int64_t row, std::span<const uint32_t> acc) {
    for (size_t n = 0; n < acc.size(); ++n) {
      const size_t at = static_cast<size_t>(row * g.n) + n;
      const auto sum =
          static_cast<float>(static_cast<int32_t>(acc[n] + static_cast<uint32_t>(c[at])));
      const float scale = alpha * a_scale * b_scale[n];
      if (quantized)
        q[at] = saturate(sum * (scale / y_scale), y_zero, quant_range(dtype));
      else
        y[at] = sum * scale;
    }
  });
  context.set_output(
      0, quantized ? make_quantized(dtype, g.output, q) : make_from(dtype, g.output, y));
}

// -- rows

/// A list of parameters of `a` has one for each of its rows, of `b` one for each column.
void tie_row_parameter(AxisFlow& flow, size_t input, size_t a) {
  if (flow.input_rank(a) > 1) tie_parameter(flow, input, flow.input(a, -2));
}
void tie_column_parameter(AxisFlow& flow, size_t input, size_t b) {
  if (flow.input_rank(b) > 1) tie_parameter(flow, input, flow.input(b, -1));
}

void matmul_integer_axes(AxisFlow& flow) {
  tie_matmul(flow, 0, 1);
  tie_row_parameter(flow, 2, 0);
  tie_column_parameter(flow, 3, 1);
}
void qlinear_matmul_axes(AxisFlow& flow) {
  tie_matmul(flow, 0, 3);
  for (size_t i : {1u, 2u}) tie_row_parameter(flow, i, 0);
  for (size_t i : {4u, 5u}) tie_column_parameter(flow, i, 3);
}
void to_float_axes(AxisFlow& flow) {
  tie_matmul(flow, 0, 1);
  tie_row_parameter(flow, 4, 0);
  for (size_t i : {3u, 5u, 6u}) tie_column_parameter(flow, i, 1);
}
void qgemm_axes(AxisFlow& flow) {
  tie_gemm(flow, 0, 3, 6);
  for (size_t i : {4u, 5u}) tie_parameter(flow, i, flow.output(0, 1));
}

template <size_t kA>
int64_t product_macs(const AttrView&, std::span<const TensorType> inputs,
                     std::span<const TensorType> outputs) {
  return matmul_macs_of(inputs[kA], outputs[0]);
}

int64_t qgemm_macs(const AttrView& attrs, std::span<const TensorType> inputs,
                   std::span<const TensorType> outputs) {
  const Shape a = inputs[0].static_shape();
  return checked_mul(element_count(outputs[0].static_shape()),
                     a[attrs.get_int("transA", 0) != 0 ? 0 : 1]);
}

int64_t last_axis(const AttrView&, int64_t rank) { return rank - 1; }

}  // namespace

const OpDef& op_MatMulInteger() {
  static const OpDef def{.name = "MatMulInteger",
                         .versions = {10},
                         .inputs = {2, 4},
                         .outputs = {1, 1},
                         .infer = infer_matmul_integer,
                         .evaluate = evaluate_matmul_integer,
                         .axes = matmul_integer_axes,
                         .role = QuantRole::kInteger,
                         .weight = {1, last_axis},
                         .macs = product_macs<0>};
  return def;
}

const OpDef& op_QLinearMatMul() {
  static const OpDef def{.name = "QLinearMatMul",
                         .versions = {10, 21},
                         .inputs = {8, 8},
                         .outputs = {1, 1},
                         .infer = infer_qlinear_matmul,
                         .evaluate = evaluate_qlinear_matmul,
                         .axes = qlinear_matmul_axes,
                         .role = QuantRole::kInteger,
                         .output_scale = 6,
                         .weight = {3, last_axis},
                         .macs = product_macs<0>};
  return def;
}

const OpDef& op_com_microsoft_MatMulIntegerToFloat() {
  static const OpDef def{.domain = "com.microsoft",
                         .name = "MatMulIntegerToFloat",
                         .versions = {1},
                         .inputs = {4, 7},
                         .outputs = {1, 1},
                         .infer = infer_to_float,
                         .evaluate = evaluate_to_float,
                         .axes = to_float_axes,
                         .role = QuantRole::kInteger,
                         .weight = {1, last_axis, 6},
                         .macs = product_macs<0>};
  return def;
}

const OpDef& op_com_microsoft_QGemm() {
  static const OpDef def{.domain = "com.microsoft",
                         .name = "QGemm",
                         .versions = {1},
                         .inputs = {6, 9},
                         .outputs = {1, 1},
                         .attrs = {{"alpha", AttrKind::kFloat},
                                   {"transA", AttrKind::kInt},
                                   {"transB", AttrKind::kInt}},
                         .infer = infer_qgemm,
                         .evaluate = evaluate_qgemm,
                         .axes = qgemm_axes,
                         .role = QuantRole::kInteger,
                         .output_scale = 7,
                         .weight = {3,
                                    [](const AttrView& attrs, int64_t) -> int64_t {
                                      return attrs.get_int("transB", 0) != 0 ? 0 : 1;
                                    },
                                    6},
                         .macs = qgemm_macs};
  return def;
}

}  // namespace lapidary
