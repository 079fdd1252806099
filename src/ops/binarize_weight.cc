#include "src/base/fail.h"
#include "src/ops/binarize.h"
#include "src/ops/evaluate.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/quant.h"

namespace lapidary {

namespace {

// Per slice c along `axis`, in float32 but for sums (float64, rounded once):
//   w' = w, or with `standardize` (w - m_c) / d_c: m_c the mean, d_c the deviation of the slice's
//        elements (over their number; 1 where it is 0)                    (Qin et al. 2020)
//   y  = s_c sign(w')
//   s_c = mean |w'|                      mean                        (Rastegari et al. 2016)
//         2 ^ rint(log2(mean |w'|))      shift                            (Qin et al. 2020)
//         1                              none
// The gradient is the estimator's at w', times s_c, through the standardization; s_c is taken for a
// constant. Rastegari et al. (2016) add g / n for what w does to s_c; by the chain rule that term
// is (sum of g sign(w) over the slice) sign(w) / n, which is 0 where a normalization follows the
// layer, and Liu et al. (2018, 2020) and Qin et al. leave it out.

void infer(InferContext& context) {
  context.require_dtype(0, kFloat32);
  context.require_rank(0, 1, -1);
  check_estimator(context, 1);
  const std::string scale = context.attrs().get_string("scale", "mean");
  if (scale != "mean" && scale != "shift" && scale != "none")
    fail_invalid("scale is '{}', expected mean, shift or none", scale);
  if (const auto* shape = context.shape(0))
    InferContext::normalize_axis(context.attrs().get_int("axis", 0), std::ssize(*shape));
  context.set_type(0, context.type(0));
}

void standardize(std::span<float> w, const WeightSlices& slices) {
  const auto n = static_cast<double>(slices.size);
  std::vector<double> sums(static_cast<size_t>(slices.count)), squares(sums.size());
  for (size_t i = 0; i < w.size(); ++i) sums[slices.of(i)] += w[i];
  for (size_t i = 0; i < w.size(); ++i) w[i] -= static_cast<float>(sums[slices.of(i)] / n);
  for (size_t i = 0; i < w.size(); ++i) squares[slices.of(i)] += static_cast<double>(w[i]) * w[i];
  for (size_t i = 0; i < w.size(); ++i) {
    const auto deviation = static_cast<float>(std::sqrt(squares[slices.of(i)] / n));
    w[i] /= deviation == 0 ? 1 : deviation;
  }
}

void evaluate(EvalContext& context) {
  const Tensor& w = context.input(0);
  const AttrView& attrs = context.attrs();
  const WeightSlices slices = weight_slices(attrs, w.shape());
  Tensor y = w;
  const auto out = y.mutable_data<float>();
  if (attrs.get_int("standardize", 0) != 0) standardize(out, slices);
  const std::string kind = attrs.get_string("scale", "mean");
  std::vector<float> scale = mean_magnitudes(out, slices);
  for (float& s : scale) {
    if (kind == "none") s = 1;
    if (kind == "shift")
      s = static_cast<float>(std::exp2(std::nearbyint(std::log2(static_cast<double>(s)))));
  }
  for (size_t i = 0; i < out.size(); ++i) out[i] = scale[slices.of(i)] * sign_of(out[i]);
  context.set_output(0, std::move(y));
}

}  // namespace

const OpDef& op_ai_lapidary_BinarizeWeight() {
  static const OpDef def = without_half_form({.domain = kOwnDomain,
                                              .name = "BinarizeWeight",
                                              .versions = {1},
                                              .inputs = {1, 2},
                                              .outputs = {1, 1},
                                              .attrs = {{"axis", AttrKind::kInt},
                                                        {"scale", AttrKind::kString},
                                                        {"standardize", AttrKind::kInt},
                                                        {"estimator", AttrKind::kString}},
                                              .infer = infer,
                                              .evaluate = evaluate,
                                              .axes = sliced_weight_axes});
  return def;
}

}  // namespace lapidary
