#include "src/ops/binarize.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/ops/evaluate.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/quant.h"

namespace lapidary {

void check_single(const InferContext& context, size_t slot) {
  context.require_dtype(slot, kFloat32);
  const auto* shape = context.shape(slot);
  if (shape == nullptr) return;
  const bool one =
      shape->size() <= 1 && std::all_of(shape->begin(), shape->end(),
                                        [](const Dim& d) { return !d.known() || d.value == 1; });
  if (!one) fail_invalid("input {} is {}, expected one element", slot, context.type(slot).text());
}

void check_estimator(const InferContext& context, size_t slot) {
  const std::string name = context.attrs().get_string("estimator", "ste");
  if (std::find(std::begin(kEstimators), std::end(kEstimators), name) == std::end(kEstimators))
    fail_invalid("estimator is '{}', expected {}", name, fmt::join(kEstimators, ", "));
  if (context.has_input(slot)) return check_single(context, slot);
  if (name == "ede") fail_invalid("estimator ede reads `sharpness`, which is absent");
}

WeightSlices weight_slices(const AttrView& attrs, const Shape& shape) {
  const auto axis = static_cast<size_t>(
      InferContext::normalize_axis(attrs.get_int("axis", 0), std::ssize(shape)));
  WeightSlices out{.count = shape[axis]};
  int64_t outer = 1;
  for (size_t d = 0; d < shape.size(); ++d)
    (d < axis ? outer : out.inner) *= d == axis ? 1 : shape[d];
  out.size = outer * out.inner;
  return out;
}

std::vector<float> mean_magnitudes(std::span<const float> x, const WeightSlices& slices) {
  std::vector<double> sums(static_cast<size_t>(slices.count));
  for (size_t i = 0; i < x.size(); ++i) sums[slices.of(i)] += std::fabs(x[i]);
  std::vector<float> out;
  for (const double sum : sums)
    out.push_back(static_cast<float>(sum / static_cast<double>(slices.size)));
  return out;
}

void sliced_weight_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  const int64_t rank = flow.input_rank(0), axis = flow.attrs().get_int("axis", 0);
  for (int64_t d = 0; d < rank; ++d)
    if (d != (axis < 0 ? axis + rank : axis))
      flow.lossy(flow.input(0, d), "a slice's mean is taken over it");
}

namespace {

void infer(InferContext& context) {
  context.require_dtype(0, kFloat32);
  check_estimator(context, 1);
  context.set_type(0, context.type(0));
}

void evaluate(EvalContext& context) {
  const Tensor& x = context.input(0);
  Tensor y(DType::kF32, x.shape());
  std::transform(x.data<float>().begin(), x.data<float>().end(), y.mutable_data<float>().begin(),
                 sign_of);
  context.set_output(0, std::move(y));
}

void axes(AxisFlow& flow) { tie_same(flow, 0, 0); }

}  // namespace

const OpDef& op_ai_lapidary_Binarize() {
  static const OpDef def = without_half_form({.domain = kOwnDomain,
                                              .name = "Binarize",
                                              .versions = {1},
                                              .inputs = {1, 2},
                                              .outputs = {1, 1},
                                              .attrs = {{"estimator", AttrKind::kString}},
                                              .infer = infer,
                                              .evaluate = evaluate,
                                              .axes = axes});
  return def;
}

}  // namespace lapidary
