#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/norm.h"

// Over the axes from `axis` on: y = (x - mean) / sqrt(var + epsilon) scale + bias; RMSNormalization
// has neither mean nor bias: y = x / sqrt(mean(x^2) + epsilon) scale.

namespace lapidary {

namespace {

int64_t read_axis(const AttrView& attrs, int64_t rank) {
  return InferContext::normalize_axis(attrs.get_int("axis", -1), rank);
}

/// Scale and bias broadcast to the input, one way.
void check_broadcast_to_input(const InferContext& context, size_t input) {
  const auto* x = context.shape(0);
  const auto* other = context.shape(input);
  if (x == nullptr || other == nullptr) return;
  const std::vector<Dim> both = broadcast_dims(*x, *other);
  bool grows = both.size() != x->size();
  for (size_t i = 0; !grows && i < x->size(); ++i)
    grows = (*x)[i].known() && both[i].known() && (*x)[i].value != both[i].value;
  if (grows)
    fail_invalid("input {} is {}, which does not broadcast to {}", input,
                 context.type(input).text(), context.type(0).text());
}

void infer_row_norm(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  context.require_rank(0, 1, -1);
  for (size_t i = 1; i < context.input_count(); ++i) check_broadcast_to_input(context, i);
  // Layer norm's y has x's type; RMS norm's has the scale's.
  TensorType y = context.type(0);
  if (context.attrs().node().op == "RMSNormalization" && context.dtype(1) != DType::kUndefined)
    y.dtype = context.dtype(1);
  context.set_type(0, std::move(y));
  const auto stash = static_cast<DType>(context.attrs().get_int("stash_type", 1));
  TensorType statistics{stash, std::nullopt};
  if (const auto* x = context.shape(0)) {
    const auto axis =
        static_cast<size_t>(read_axis(context.attrs(), static_cast<int64_t>(x->size())));
    statistics.shape = *x;
    for (size_t i = axis; i < x->size(); ++i) (*statistics.shape)[i] = Dim(1);
  }
  context.set_type(1, statistics);
  context.set_type(2, statistics);
}

/// Multiplies by `scale`, adds `bias`, both broadcast to `shape`.
void scale_and_shift(std::vector<double>& values, const Shape& shape, const Tensor& scale,
                     const Tensor* bias) {
  const std::vector<double> factors = read_as<double>(scale);
  const std::vector<double> terms = bias ? read_as<double>(*bias) : std::vector<double>{0};
  const Shape bias_shape = bias ? bias->shape() : Shape{};
  const std::array strides{broadcast_strides(scale.shape(), shape),
                           broadcast_strides(bias_shape, shape)};
  for_each_broadcast(shape, strides, [&](int64_t i, const std::array<int64_t, 2>& at) {
    double& v = values[static_cast<size_t>(i)];
    v = v * factors[static_cast<size_t>(at[0])] + terms[static_cast<size_t>(at[1])];
  });
}

template <bool kCentered>
void evaluate_row_norm(EvalContext& context) {
  const Tensor& x = context.input(0);
  const double epsilon = context.attrs().get_float("epsilon", 1e-5f);
  const auto axis = static_cast<size_t>(read_axis(context.attrs(), x.rank()));
  const int64_t length = element_count(std::span(x.shape()).subspan(axis));
  const int64_t rows = element_count(std::span(x.shape()).first(axis));
  std::vector<double> values = read_as<double>(x), means, inverses;
  for (int64_t r = 0; r < rows; ++r) {
    const std::span row(values.data() + r * length, static_cast<size_t>(length));
    Moments m = moments(row);
    if (!kCentered) m = {0, m.variance + m.mean * m.mean};
    means.push_back(m.mean);
    inverses.push_back(1 / std::sqrt(m.variance + epsilon));
    for (double& v : row) v = (v - m.mean) * inverses.back();
  }
  const Tensor& scale = context.input(1);
  scale_and_shift(values, x.shape(), scale, context.has_input(2) ? &context.input(2) : nullptr);
  context.set_output(0, make_from(kCentered ? x.dtype() : scale.dtype(), x.shape(), values));
  const auto stash = static_cast<DType>(context.attrs().get_int("stash_type", 1));
  Shape statistics = x.shape();
  std::fill(statistics.begin() + static_cast<std::ptrdiff_t>(axis), statistics.end(), 1);
  if (context.wants_output(1)) context.set_output(1, make_from(stash, statistics, means));
  if (context.wants_output(2)) context.set_output(2, make_from(stash, statistics, inverses));
}

/// Scale and bias broadcast to x; mean and inverse deviation are those of each row.
void row_norm_axes(AxisFlow& flow) {
  tie_elementwise(flow);
  const int64_t axis = read_axis(flow.attrs(), flow.input_rank(0));
  for (int64_t i = axis; i < flow.input_rank(0); ++i)
    flow.lossy(flow.input(0, i), "normalizes over the axis");
  for (size_t output : {1u, 2u})
    for (int64_t i = 0; flow.has_output(output) && i < axis; ++i)
      tie_or_freeze(flow, flow.input(0, i), flow.output(output, i));
}

constexpr AttrSpec kAxis{"axis", AttrKind::kInt};
constexpr AttrSpec kEpsilon{"epsilon", AttrKind::kFloat};
constexpr AttrSpec kStash{"stash_type", AttrKind::kInt};

}  // namespace

const OpDef& op_LayerNormalization() {
  static const OpDef def{.name = "LayerNormalization",
                         .versions = {17},
                         .inputs = {2, 3},
                         .outputs = {1, 3},
                         .attrs = {kAxis, kEpsilon, kStash},
                         .infer = infer_row_norm,
                         .evaluate = evaluate_row_norm<true>,
                         .axes = row_norm_axes,
                         .half_since = kNoHalfForm};
  return def;
}

const OpDef& op_RMSNormalization() {
  static const OpDef def{.name = "RMSNormalization",
                         .versions = {23},
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .attrs = {kAxis, kEpsilon, kStash},
                         .infer = infer_row_norm,
                         .evaluate = evaluate_row_norm<false>,
                         .axes = row_norm_axes};
  return def;
}

}  // namespace lapidary
