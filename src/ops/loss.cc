#include <algorithm>
#include <cmath>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

enum class Reduction { kNone, kSum, kMean };

Reduction reduction_of(const AttrView& attrs) {
  const std::string name = attrs.get_string("reduction", "mean");
  if (name == "none") return Reduction::kNone;
  if (name == "sum") return Reduction::kSum;
  if (name == "mean") return Reduction::kMean;
  fail_invalid("reduction is '{}', expected none, sum or mean", name);
}

/// Scores [N, C, d1, ...], labels [N, d1, ...], weights [C]: a scalar, or [N, d1, ...] unreduced.
void infer_nll(InferContext& ctx) {
  ctx.require_dtype(0, kFloatDTypes);
  ctx.require_dtype(1, kIndexTypes);
  ctx.require_rank(0, 2, -1);
  ctx.require_rank(2, 1, 1);
  ctx.require_same_dtype(0, 2);
  const auto *scores = ctx.shape(0), *labels = ctx.shape(1), *weights = ctx.shape(2);
  if (scores && weights) unify_dim((*scores)[1], (*weights)[0]);
  std::optional<std::vector<Dim>> each = ctx.type(1).shape;
  if (scores) {
    std::vector<Dim> expected = *scores;
    expected.erase(expected.begin() + 1);
    ctx.require_rank(1, std::ssize(expected), std::ssize(expected));
    for (size_t i = 0; labels && i < expected.size(); ++i)
      expected[i] = unify_dim(expected[i], (*labels)[i]);
    each = std::move(expected);
  }
  if (reduction_of(ctx.attrs()) != Reduction::kNone) each = std::vector<Dim>{};
  ctx.set_type(0, TensorType{ctx.dtype(0), std::move(each)});
}

void infer_cross_entropy(InferContext& ctx) {
  infer_nll(ctx);
  ctx.set_type(1, ctx.type(0));
}

/// loss[n, d] = -weight[label] * log_probs[n, label, d], zero where the label is the ignored one;
/// the mean divides by the weights that took part.
Tensor negative_log_likelihood(EvalContext& ctx, const std::vector<double>& log_probs) {
  const Shape& shape = ctx.input(0).shape();
  const int64_t classes = shape[1], inner = element_count(std::span(shape).subspan(2));
  const auto labels = ctx.ints(1);
  const auto weights = ctx.has_input(2) ? read_as<double>(ctx.input(2))
                                        : std::vector<double>(static_cast<size_t>(classes), 1.0);
  const bool ignores = ctx.attrs().has("ignore_index");
  const int64_t ignored = ctx.attrs().get_int("ignore_index", 0);
  std::vector<double> loss(labels.size());
  double sum = 0, taken = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (ignores && labels[i] == ignored) continue;
    if (labels[i] < 0 || labels[i] >= classes)
      fail_invalid("a label is {}, expected 0 to {}", labels[i], classes - 1);
    const auto at = static_cast<int64_t>(i);
    const double weight = weights[static_cast<size_t>(labels[i])];
    const int64_t score = (at / inner * classes + labels[i]) * inner + at % inner;
    loss[i] = -weight * log_probs[static_cast<size_t>(score)];
    sum += loss[i];
    taken += weight;
  }
  const DType dtype = ctx.input(0).dtype();
  switch (reduction_of(ctx.attrs())) {
    case Reduction::kNone:
      return make_from(dtype, ctx.input(1).shape(), loss);
    case Reduction::kSum:
      return make_from<double>(dtype, {}, {sum});
    case Reduction::kMean:
      break;
  }
  return make_from<double>(dtype, {}, {sum / taken});
}

void evaluate_nll(EvalContext& ctx) {
  ctx.set_output(0, negative_log_likelihood(ctx, read_as<double>(ctx.input(0))));
}

/// log_probs = scores - log(sum over classes of exp(scores)), then as above.
void evaluate_cross_entropy(EvalContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  std::vector<double> values = read_as<double>(ctx.input(0));
  const int64_t classes = shape[1], inner = element_count(std::span(shape).subspan(2));
  const int64_t rows = values.empty() ? 0 : std::ssize(values) / classes;
  for (int64_t row = 0; row < rows; ++row) {
    double* first = values.data() + row / inner * classes * inner + row % inner;
    double largest = first[0], sum = 0;
    for (int64_t c = 1; c < classes; ++c) largest = std::max(largest, first[c * inner]);
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(first[c * inner] - largest);
    for (int64_t c = 0; c < classes; ++c) first[c * inner] -= largest + std::log(sum);
  }
  ctx.set_output(0, negative_log_likelihood(ctx, values));
  if (ctx.wants_output(1)) ctx.set_output(1, make_from(ctx.input(0).dtype(), shape, values));
}

OpDef loss(std::string_view name, std::vector<int> versions, int outputs,
           void (*infer)(InferContext&), void (*evaluate)(EvalContext&)) {
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {2, 3},
          .outputs = {1, outputs},
          .attrs = {{"reduction", AttrKind::kString}, {"ignore_index", AttrKind::kInt}},
          .infer = infer,
          .evaluate = evaluate};
}

}  // namespace

const OpDef& op_NegativeLogLikelihoodLoss() {
  static const OpDef def =
      loss("NegativeLogLikelihoodLoss", {12, 13, 22}, 1, infer_nll, evaluate_nll);
  return def;
}

const OpDef& op_SoftmaxCrossEntropyLoss() {
  static const OpDef def =
      loss("SoftmaxCrossEntropyLoss", {12, 13}, 2, infer_cross_entropy, evaluate_cross_entropy);
  return def;
}

}  // namespace lapidary
