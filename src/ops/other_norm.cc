#include <algorithm>
#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/norm.h"

// LRN, LpNormalization, MeanVarianceNormalization.

namespace lapidary {

namespace {

// -- LRN: y = x / (bias + alpha / size sum x^2)^beta, the sum over `size` channels around each

void infer_lrn(InferContext& context) {
  context.require_rank(0, 2, -1);
  const int64_t size = context.attrs().get_int("size", 1);
  if (size < 1) fail_invalid("size is {}, expected 1 or more", size);
  infer_same_float(context);
}

void evaluate_lrn(EvalContext& context) {
  const Tensor& x = context.input(0);
  const AttrView& attrs = context.attrs();
  const double alpha = attrs.get_float("alpha", 0.0001f), beta = attrs.get_float("beta", 0.75f);
  const double bias = attrs.get_float("bias", 1);
  const int64_t size = attrs.get_int("size", 1), channels = x.dim(1);
  const int64_t before = (size - 1) / 2, after = size - 1 - before;
  const int64_t area = element_count(std::span(x.shape()).subspan(2));
  const std::vector<double> in = read_as<double>(x);
  std::vector<double> out(in.size());
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t c = i / area % channels;
    double sum = 0;
    for (int64_t k = std::max<int64_t>(0, c - before); k <= std::min(channels - 1, c + after);
         ++k) {
      const double v = in[static_cast<size_t>(i + (k - c) * area)];
      sum += v * v;
    }
    const auto at = static_cast<size_t>(i);
    out[at] = in[at] / std::pow(bias + alpha / static_cast<double>(size) * sum, beta);
  }
  context.set_output(0, make_from(x.dtype(), x.shape(), out));
}

void lrn_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  flow.freeze(flow.input(0, 1), "each channel is normalized by its neighbours");
}

// -- LpNormalization: x / |x|_p along one axis; a slice of norm 0 stays 0

void infer_lp(InferContext& context) {
  context.require_rank(0, 1, -1);
  const int64_t p = context.attrs().get_int("p", 2);
  if (p != 1 && p != 2) fail_invalid("p is {}, expected 1 or 2", p);
  if (const auto* x = context.shape(0))
    InferContext::normalize_axis(context.attrs().get_int("axis", -1),
                                 static_cast<int64_t>(x->size()));
  infer_same_float(context);
}

void evaluate_lp(EvalContext& context) {
  const Tensor& x = context.input(0);
  const auto axis = static_cast<size_t>(
      InferContext::normalize_axis(context.attrs().get_int("axis", -1), x.rank()));
  const bool squares = context.attrs().get_int("p", 2) == 2;
  const int64_t length = x.shape()[axis],
                inner = element_count(std::span(x.shape()).subspan(axis + 1));
  std::vector<double> values = read_as<double>(x);
  for (int64_t r = 0; r < x.size() / std::max<int64_t>(1, length); ++r) {
    double* first = values.data() + r / inner * inner * length + r % inner;
    double norm = 0;
    for (int64_t i = 0; i < length; ++i)
      norm += squares ? first[i * inner] * first[i * inner] : std::abs(first[i * inner]);
    if (squares) norm = std::sqrt(norm);
    for (int64_t i = 0; i < length && norm != 0; ++i) first[i * inner] /= norm;
  }
  context.set_output(0, make_from(x.dtype(), x.shape(), values));
}

/// What is zero adds nothing to the norm.
void lp_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  flow.sums(flow.input(0, flow.attrs().get_int("axis", -1)));
}

// -- MeanVarianceNormalization: (x - E x) / (sqrt(E x^2 - (E x)^2) + 1e-9) over `axes`

std::vector<bool> read_axes(const AttrView& attrs, size_t rank) {
  std::vector<bool> out(rank);
  for (int64_t axis : attrs.get_ints("axes", {0, 2, 3}))
    out[static_cast<size_t>(InferContext::normalize_axis(axis, static_cast<int64_t>(rank)))] = true;
  return out;
}

void infer_mvn(InferContext& context) {
  if (const auto* x = context.shape(0)) read_axes(context.attrs(), x->size());
  infer_same_float(context);
}

void evaluate_mvn(EvalContext& context) {
  const Tensor& x = context.input(0);
  const std::vector<bool> reduced = read_axes(context.attrs(), x.shape().size());
  const std::vector<int64_t> strides = row_major_strides(x.shape());
  Shape outer, inner;
  std::array<std::vector<int64_t>, 1> outer_strides, inner_strides;
  for (size_t i = 0; i < reduced.size(); ++i) {
    (reduced[i] ? inner : outer).push_back(x.shape()[i]);
    (reduced[i] ? inner_strides : outer_strides)[0].push_back(strides[i]);
  }
  std::vector<double> values = read_as<double>(x);
  for_each_broadcast(outer, outer_strides, [&](int64_t, const std::array<int64_t, 1>& base) {
    std::vector<double> slice;
    const auto each = [&](auto&& f) {
      for_each_broadcast(inner, inner_strides, [&](int64_t, const std::array<int64_t, 1>& at) {
        f(values[static_cast<size_t>(base[0] + at[0])]);
      });
    };
    each([&](double& v) { slice.push_back(v); });
    const Moments m = moments(slice);
    each([&](double& v) { v = (v - m.mean) / (std::sqrt(m.variance) + 1e-9); });
  });
  context.set_output(0, make_from(x.dtype(), x.shape(), values));
}

void mvn_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  const std::vector<bool> reduced =
      read_axes(flow.attrs(), static_cast<size_t>(flow.input_rank(0)));
  for (size_t i = 0; i < reduced.size(); ++i)
    if (reduced[i]) flow.lossy(flow.input(0, static_cast<int64_t>(i)), "normalizes over the axis");
}

}  // namespace

const OpDef& op_LRN() {
  static const OpDef def{.name = "LRN",
                         .versions = {1, 13},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .attrs = {{"alpha", AttrKind::kFloat},
                                   {"beta", AttrKind::kFloat},
                                   {"bias", AttrKind::kFloat},
                                   {"size", AttrKind::kInt, true}},
                         .infer = infer_lrn,
                         .evaluate = evaluate_lrn,
                         .axes = lrn_axes};
  return def;
}

const OpDef& op_LpNormalization() {
  static const OpDef def{.name = "LpNormalization",
                         .versions = {1, 22},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .attrs = {{"axis", AttrKind::kInt}, {"p", AttrKind::kInt}},
                         .infer = infer_lp,
                         .evaluate = evaluate_lp,
                         .axes = lp_axes};
  return def;
}

const OpDef& op_MeanVarianceNormalization() {
  static const OpDef def{.name = "MeanVarianceNormalization",
                         .versions = {9, 13},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .attrs = {{"axes", AttrKind::kInts}},
                         .infer = infer_mvn,
                         .evaluate = evaluate_mvn,
                         .axes = mvn_axes};
  return def;
}

}  // namespace lapidary
