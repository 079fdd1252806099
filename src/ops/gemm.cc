#include "src/ops/gemm.h"

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/before_7.h"
#include "src/ops/elements.h"
#include "src/ops/matmul.h"

// y = alpha op(A) op(B) + beta C, C broadcast to [M, N]

namespace lapidary {

std::optional<std::vector<Dim>> gemm_output_shape(const InferContext& context, size_t a_input,
                                                  size_t b_input) {
  context.require_rank(a_input, 2, 2);
  context.require_rank(b_input, 2, 2);
  const auto* a = context.shape(a_input);
  const auto* b = context.shape(b_input);
  if (a == nullptr || b == nullptr) return std::nullopt;
  const size_t trans_a = context.attrs().get_int("transA", 0) != 0;
  const size_t trans_b = context.attrs().get_int("transB", 0) != 0;
  const Dim &k = (*a)[1 - trans_a], &other = (*b)[trans_b];
  if (k.known() && other.known() && k.value != other.value)
    fail_invalid("{}{} x {}{}: inner sizes {} and {} must be equal", context.type(a_input).text(),
                 trans_a ? " transposed" : "", context.type(b_input).text(),
                 trans_b ? " transposed" : "", k.value, other.value);
  return std::vector<Dim>{(*a)[trans_a], (*b)[1 - trans_b]};
}

void check_gemm_bias(const InferContext& context, size_t c,
                     const std::optional<std::vector<Dim>>& y) {
  const auto* bias = context.shape(c);
  if (bias == nullptr || !y) return;
  context.require_rank(c, 0, 2);
  const std::vector<Dim> both = broadcast_dims(*y, *bias);
  for (size_t i = 0; i < 2; ++i)
    if ((*y)[i].known() && both[i].known() && (*y)[i].value != both[i].value)
      fail_invalid("C is {}, which does not broadcast to {}", context.type(c).text(),
                   TensorType{context.dtype(0), *y}.text());
}

void tie_gemm(AxisFlow& flow, size_t a, size_t b, size_t c) {
  const int64_t trans_a = flow.attrs().get_int("transA", 0) != 0;
  const int64_t trans_b = flow.attrs().get_int("transB", 0) != 0;
  const AxisRef left = flow.input(a, 1 - trans_a), right = flow.input(b, trans_b);
  tie_or_freeze(flow, flow.input(a, trans_a), flow.output(0, 0));
  tie_or_freeze(flow, flow.input(b, 1 - trans_b), flow.output(0, 1));
  tie_or_freeze(flow, left, right);
  flow.sums(left);
  flow.sums(right);
  if (flow.has_input(c)) tie_broadcast(flow, c);
}

namespace {

void gemm_axes(AxisFlow& flow) { tie_gemm(flow, 0, 1, 2); }

void infer_gemm(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  context.require_same_dtype(0, 1);
  if (context.has_input(2))
    context.require_same_dtype(0, 2);
  else if (context.version() < 11)
    fail_invalid("input C is absent, version 11 made it optional");
  const auto y = gemm_output_shape(context, 0, 1);
  check_gemm_bias(context, 2, y);
  context.set_type(0, TensorType{context.dtype(0), y});
}

/// In float64, rounded once; integers (exact below 2^53) are truncated.
void evaluate_gemm(EvalContext& context) {
  const Tensor &a = context.input(0), &b = context.input(1);
  const bool trans_a = context.attrs().get_int("transA", 0) != 0;
  const bool trans_b = context.attrs().get_int("transB", 0) != 0;
  const double alpha = context.attrs().get_float("alpha", 1);
  const double beta = context.attrs().get_float("beta", 1);
  const MatMulGeometry g =
      matmul_geometry(transposed_shape(a.shape(), trans_a), transposed_shape(b.shape(), trans_b));
  std::vector<double> out(static_cast<size_t>(g.m * g.n));
  if (context.has_input(2)) {
    const Tensor& c = context.input(2);
    const std::vector<double> bias = read_as<double>(c);
    const std::array strides{broadcast_strides(c.shape(), g.output)};
    for_each_broadcast(g.output, strides, [&](int64_t i, const std::array<int64_t, 1>& at) {
      out[static_cast<size_t>(i)] = beta * bias[static_cast<size_t>(at[0])];
    });
  }
  const std::vector<double> left = transposed(read_as<double>(a), a.shape(), trans_a);
  const std::vector<double> right = transposed(read_as<double>(b), b.shape(), trans_b);
  matmul<double, double>(g, left, right, [&](int64_t row, std::span<const double> acc) {
    double* to = out.data() + row * g.n;
    for (size_t n = 0; n < acc.size(); ++n) to[n] += alpha * acc[n];
  });
  Tensor y(a.dtype(), g.output);
  dispatch<NumericTypes>(a.dtype(), [&]<class T>() {
    auto to = y.mutable_data<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = store<T>(static_cast<Real<T>>(out[i]));
  });
  context.set_output(0, std::move(y));
}

int64_t gemm_macs(const AttrView& attrs, std::span<const TensorType> inputs,
                  std::span<const TensorType> outputs) {
  const Shape a = inputs[0].static_shape();
  const int64_t k = a[attrs.get_int("transA", 0) != 0 ? 0 : 1];
  return checked_mul(element_count(outputs[0].static_shape()), k);
}

}  // namespace

const OpDef& op_Gemm() {
  static const OpDef def{.name = "Gemm",
                         .versions = {7, 9, 11, 13},
                         .inputs = {2, 3},
                         .outputs = {1, 1},
                         .attrs = {{"alpha", AttrKind::kFloat},
                                   {"beta", AttrKind::kFloat},
                                   {"transA", AttrKind::kInt},
                                   {"transB", AttrKind::kInt}},
                         .infer = infer_gemm,
                         .evaluate = evaluate_gemm,
                         .axes = gemm_axes,
                         .role = QuantRole::kCompute,
                         .weight = {1,
                                    [](const AttrView& attrs, int64_t) -> int64_t {
                                      return attrs.get_int("transB", 0) != 0 ? 0 : 1;
                                    },
                                    2},
                         .macs = gemm_macs,
                         .upgrades = {{7, drop_old_attributes}}};
  return def;
}

}  // namespace lapidary
