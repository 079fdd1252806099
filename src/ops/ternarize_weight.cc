#include <algorithm>

#include "src/base/fail.h"
#include "src/ops/binarize.h"
#include "src/ops/evaluate.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/quant.h"
#include "src/ops/ternarize_weight.h"

namespace lapidary {

namespace {

// Without scales, per slice c along `axis` (Li et al. 2016):
//   d_c = 0.7 mean |w|;   a_c = mean of |w| over |w| > d_c
//   y = a_c sign(w) where |w| > d_c, else 0;   dw = g
// With `positive` P and `negative` N (Zhu et al. 2017), one of each:
//   d = threshold max |w| over all;   y = P where w > d, -N where w < -d, else 0
//   dP = sum of g over w > d;   dN = -(sum of g over w < -d)
//   dw = P g, N g and g in these three parts
// The paper prints dN without its sign; y = -N there, and descent needs it.
// Sums are of float64, rounded to float32 once. NaN stays NaN.

void infer(InferContext& context) {
  context.require_dtype(0, kFloat32);
  context.require_rank(0, 1, -1);
  if (context.has_input(1) != context.has_input(2))
    fail_invalid("one of `positive` and `negative` is absent: expected both or none");
  for (const size_t slot : {1u, 2u})
    if (context.has_input(slot)) check_single(context, slot);
  const float threshold = context.attrs().get_float("threshold", kTernaryThreshold);
  if (!(threshold >= 0 && threshold < 1))
    fail_invalid("threshold is {}, expected 0 <= threshold < 1", threshold);
  if (const auto* shape = context.shape(0))
    InferContext::normalize_axis(context.attrs().get_int("axis", 0), std::ssize(*shape));
  context.set_type(0, context.type(0));
}

float largest(std::span<const float> w) {
  float most = 0;
  for (const float v : w)
    if (std::isnan(v) || std::fabs(v) > most) most = std::fabs(v);
  return std::any_of(w.begin(), w.end(), [](float v) { return std::isnan(v); }) ? NAN : most;
}

/// y where w is above d, below -d, between.
float part(float w, float d, float above, float below) {
  return w > d ? above : w < -d ? below : std::isnan(w) ? w : 0;
}

void evaluate(EvalContext& context) {
  const Tensor& w = context.input(0);
  const auto in = w.data<float>();
  Tensor y(DType::kF32, w.shape());
  const auto out = y.mutable_data<float>();
  if (context.has_input(1)) {
    const float d = context.attrs().get_float("threshold", kTernaryThreshold) * largest(in);
    const float above = context.input(1).data<float>()[0];
    const float below = -context.input(2).data<float>()[0];
    for (size_t i = 0; i < in.size(); ++i) out[i] = part(in[i], d, above, below);
    return context.set_output(0, std::move(y));
  }
  const WeightSlices slices = weight_slices(context.attrs(), w.shape());
  std::vector<float> d = mean_magnitudes(in, slices);
  for (float& v : d) v = static_cast<float>(kTernaryShare * v);
  std::vector<double> sums(d.size()), counts(d.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const size_t c = slices.of(i);
    if (!(std::fabs(in[i]) > d[c])) continue;
    sums[c] += std::fabs(in[i]);
    ++counts[c];
  }
  for (size_t i = 0; i < in.size(); ++i) {
    const size_t c = slices.of(i);
    const auto a = static_cast<float>(sums[c] / std::max(counts[c], 1.0));
    out[i] = part(in[i], d[c], a, -a);
  }
  context.set_output(0, std::move(y));
}

void axes(AxisFlow& flow) {
  if (!flow.has_input(1)) return sliced_weight_axes(flow);
  tie_same(flow, 0, 0);
  for (int64_t d = 0; d < flow.input_rank(0); ++d)
    flow.lossy(flow.input(0, d), "the largest weight is looked for along it");
}

}  // namespace

const OpDef& op_ai_lapidary_TernarizeWeight() {
  static const OpDef def =
      without_half_form({.domain = kOwnDomain,
                         .name = "TernarizeWeight",
                         .versions = {1},
                         .inputs = {1, 3},
                         .outputs = {1, 1},
                         .attrs = {{"axis", AttrKind::kInt}, {"threshold", AttrKind::kFloat}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .axes = axes});
  return def;
}

}  // namespace lapidary
