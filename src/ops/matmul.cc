#include "src/ops/matmul.h"

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/elements.h"

namespace lapidary {

std::optional<std::vector<Dim>> matmul_output_shape(const InferContext& context, size_t a_input,
                                                    size_t b_input) {
  context.require_rank(a_input, 1, -1);
  context.require_rank(b_input, 1, -1);
  const auto* a_shape = context.shape(a_input);
  const auto* b_shape = context.shape(b_input);
  if (a_shape == nullptr || b_shape == nullptr) return std::nullopt;
  std::vector<Dim> a = *a_shape, b = *b_shape;
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(a.begin(), Dim(1));
  if (column) b.emplace_back(1);
  const Dim &k = a[a.size() - 1], &other = b[b.size() - 2];
  if (k.known() && other.known() && k.value != other.value)
    fail_invalid("{} x {}: inner sizes {} and {} must be equal", context.type(a_input).text(),
                 context.type(b_input).text(), k.value, other.value);
  std::vector<Dim> out =
      broadcast_dims(std::span(a).first(a.size() - 2), std::span(b).first(b.size() - 2));
  if (!row) out.push_back(a[a.size() - 2]);
  if (!column) out.push_back(b.back());
  return out;
}

MatMulGeometry matmul_geometry(const Shape& a_shape, const Shape& b_shape) {
  Shape a = a_shape, b = b_shape;
  if (a_shape.size() == 1) a.insert(a.begin(), 1);
  if (b_shape.size() == 1) b.push_back(1);
  MatMulGeometry g{.m = a[a.size() - 2], .n = b.back(), .k = a.back()};
  Shape a_batch(a.begin(), a.end() - 2), b_batch(b.begin(), b.end() - 2);
  const Shape batch = broadcast_shape(std::array{a_batch, b_batch});
  const std::array strides{broadcast_strides(a_batch, batch), broadcast_strides(b_batch, batch)};
  for_each_broadcast(batch, strides, [&](int64_t, const std::array<int64_t, 2>& at) {
    g.a_offset.push_back(at[0] * g.m * g.k);
    g.b_offset.push_back(at[1] * g.k * g.n);
  });
  g.output = batch;
  if (a_shape.size() > 1) g.output.push_back(g.m);
  if (b_shape.size() > 1) g.output.push_back(g.n);
  return g;
}

void tie_matmul(AxisFlow& flow, size_t a, size_t b) {
  const bool row = flow.input_rank(a) == 1, column = flow.input_rank(b) == 1;
  const AxisRef left = flow.input(a, -1), right = flow.input(b, column ? 0 : -2);
  tie_or_freeze(flow, left, right);
  flow.sums(left);
  flow.sums(right);
  if (!row) tie_or_freeze(flow, flow.input(a, -2), flow.output(0, column ? -1 : -2));
  if (!column) tie_or_freeze(flow, flow.input(b, -1), flow.output(0, -1));
  const int64_t batch = flow.output_rank(0) - !row - !column;
  for (const size_t operand : {a, b}) {
    const int64_t own = flow.input_rank(operand) - 2;
    for (int64_t i = 0; i < own; ++i)
      tie_broadcast(flow, flow.input(operand, i), flow.output(0, batch - own + i));
  }
}

int64_t matmul_macs_of(const TensorType& a, const TensorType& y) {
  return checked_mul(element_count(y.static_shape()), a.static_shape().back());
}

namespace {

void infer_matmul(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  context.require_same_dtype(0, 1);
  context.set_type(0, TensorType{context.dtype(0), matmul_output_shape(context, 0, 1)});
}

/// Floats are summed in float64 and rounded once, integers wrap.
template <class T>
void run_matmul(EvalContext& context) {
  using Acc = std::conditional_t<std::is_floating_point_v<Real<T>>, double, uint64_t>;
  const Tensor &a = context.input(0), &b = context.input(1);
  const MatMulGeometry g = matmul_geometry(a.shape(), b.shape());
  Tensor out(a.dtype(), g.output);
  auto to = out.mutable_data<T>();
  const std::vector<Real<T>> left = read_as<Real<T>>(a), right = read_as<Real<T>>(b);
  matmul<Acc, Real<T>>(g, left, right, [&](int64_t row, std::span<const Acc> acc) {
    for (size_t n = 0; n < acc.size(); ++n)
      to[static_cast<size_t>(row * g.n) + n] = store<T>(static_cast<Real<T>>(acc[n]));
  });
  context.set_output(0, std::move(out));
}

void evaluate_matmul(EvalContext& context) {
  dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() { run_matmul<T>(context); });
}

void matmul_axes(AxisFlow& flow) { tie_matmul(flow, 0, 1); }

int64_t matmul_macs(const AttrView&, std::span<const TensorType> inputs,
                    std::span<const TensorType> outputs) {
  return matmul_macs_of(inputs[0], outputs[0]);
}

}  // namespace

const OpDef& op_MatMul() {
  static const OpDef def{.name = "MatMul",
                         .versions = {1, 9, 13},
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .infer = infer_matmul,
                         .evaluate = evaluate_matmul,
                         .axes = matmul_axes,
                         .role = QuantRole::kCompute,
                         .weight = {1, [](const AttrView&, int64_t rank) { return rank - 1; }},
                         .macs = matmul_macs};
  return def;
}

}  // namespace lapidary
