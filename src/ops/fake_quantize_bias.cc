#include "src/ops/fake_quantize_bias.h"

#include <algorithm>
#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/opdef.h"
#include "src/ops/quant.h"

namespace lapidary {

namespace {

// Inputs: bias of C elements, input scale (one element), weight scale (one element or [C]), and
// where a BatchNormalization follows the layer: gamma, mean, variance [C], the layer's own bias [C]
// (optional). The gradient of y goes to the bias as it is (straight through), to nothing else.

enum Input : size_t { kBias, kInputScale, kWeightScale, kGamma, kMean, kVariance, kLayerBias };

void infer(InferContext& context) {
  for (size_t i = 0; i <= kLayerBias; ++i)
    if (context.has_input(i)) context.require_dtype(i, kFloat32);
  const bool normalized = context.has_input(kGamma);
  if (normalized != context.has_input(kMean) || normalized != context.has_input(kVariance) ||
      (context.has_input(kLayerBias) && !normalized))
    fail_invalid("gamma, mean and variance come together, and a layer's bias with them");
  const auto count = [&](size_t i) -> int64_t {  // -1: not known
    if (!context.has_input(i) || !context.type(i).shape || !context.type(i).is_static()) return -1;
    return element_count(context.type(i).static_shape());
  };
  const int64_t channels = count(kBias);
  for (size_t i = kInputScale; i <= kLayerBias && channels >= 0; ++i) {
    const int64_t found = count(i);
    const bool single = i == kInputScale || (i == kWeightScale && found == 1);
    if (found >= 0 && found != (single ? 1 : channels))
      fail_invalid("input {} is {}, expected {} elements", i, context.type(i).text(),
                   single ? 1 : channels);
  }
  context.set_type(0, context.type(kBias));
}

void evaluate(EvalContext& context) {
  FakeQuantizeBias::Inputs in;
  for (size_t i = 0; i < in.size(); ++i)
    if (context.has_input(i)) in[i] = context.input(i).data<float>();
  Tensor y(DType::kF32, context.input(kBias).shape());
  fake_quantize_bias(FakeQuantizeBias::of(in, context.attrs()), in[kBias].data(),
                     y.mutable_data<float>().data());
  context.set_output(0, std::move(y));
}

void bias_axes(AxisFlow& flow) {
  tie_same(flow, kBias, 0);
  if (flow.input_rank(kBias) != 1) return;
  for (size_t i = kWeightScale; i <= kLayerBias; ++i) tie_parameter(flow, i, flow.input(kBias, 0));
}

}  // namespace

FakeQuantizeBias FakeQuantizeBias::of(const Inputs& inputs, const AttrView& attrs) {
  return {.channels = std::ssize(inputs[kBias]),
          .input_scale = inputs[kInputScale][0],
          .weight_scale = inputs[kWeightScale].data(),
          .weight_scales = std::ssize(inputs[kWeightScale]),
          .gamma = inputs[kGamma].data(),
          .mean = inputs[kMean].data(),
          .variance = inputs[kVariance].data(),
          .layer_bias = inputs[kLayerBias].data(),
          .epsilon = attrs.get_float("epsilon", 1e-5f),
          .folded_scale = attrs.get_int("folded_scale", 0) != 0};
}

void fake_quantize_bias(const FakeQuantizeBias& how, const float* b, float* y) {
  const double input_scale = std::max(how.input_scale, kLeastFakeScale);
  for (int64_t c = 0; c < how.channels; ++c) {
    double r = 1, offset = 0;
    if (how.gamma) {
      r = how.gamma[c] / std::sqrt(double{how.variance[c]} + how.epsilon);
      offset = ((how.layer_bias ? double{how.layer_bias[c]} : 0) - how.mean[c]) * r;
    }
    const float scale = how.weight_scale[how.weight_scales == 1 ? 0 : c];
    const double unit =
        input_scale * std::max(scale, kLeastFakeScale) * (how.folded_scale ? 1 : std::fabs(r));
    const double rounded = std::nearbyint((b[c] + offset) / unit) * unit - offset;
    y[c] = unit > 0 ? static_cast<float>(rounded) : b[c];
  }
}

const OpDef& op_ai_lapidary_FakeQuantizeBias() {
  static const OpDef def =
      without_half_form({.domain = kOwnDomain,
                         .name = "FakeQuantizeBias",
                         .versions = {1},
                         .inputs = {3, 7},
                         .outputs = {1, 1},
                         .attrs = {{"epsilon", AttrKind::kFloat}, {"folded_scale", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .axes = bias_axes});
  return def;
}

}  // namespace lapidary
