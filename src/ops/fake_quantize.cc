#include "src/ops/fake_quantize.h"

#include <algorithm>

#include "src/ops/axis_flow.h"
#include "src/ops/quant.h"

namespace lapidary {

namespace {

// y = (clamp(rint(x / s) + z, qmin, qmax) - z) * s,   z = clamp(rint(zero_point), qmin, qmax)
// rounding half to even, in float32: the bits of QuantizeLinear -> DequantizeLinear, so that 0 is
// exact whatever zero point was learned. NaN stays NaN: a training must see it.
// The gradients (`gradient`, `gradient_scale`) are those of kernels/fake_quant_f32.

constexpr int64_t kMostLevel = 65535;  // of 16 bits, either sign

void check_attrs(const AttrView& attrs) {
  const int64_t qmin = attrs.get_int("qmin", 0), qmax = attrs.get_int("qmax", 0);
  if (qmin >= qmax || qmin < -kMostLevel || qmax > kMostLevel)
    fail_invalid("qmin {} and qmax {}: expected -{} <= qmin < qmax <= {}", qmin, qmax, kMostLevel,
                 kMostLevel);
  const std::string gradient = attrs.get_string("gradient", "lsq");
  if (gradient != "lsq" && gradient != "pact" && gradient != "ste")
    fail_invalid("gradient is '{}', expected lsq, pact or ste", gradient);
}

/// One element, or with `axis` one per slice of x along it.
void check_params(const InferContext& context, size_t input) {
  context.require_dtype(input, kFloat32);
  const auto *shape = context.shape(input), *x = context.shape(0);
  if (shape == nullptr) return;
  int64_t count = 1;
  bool known = true;
  for (const Dim& d : *shape) {
    known = known && d.known();
    if (d.known()) count *= d.value;
  }
  if (!context.attrs().has("axis")) {
    if (shape->size() > 1 || (known && count != 1))
      fail_invalid("input {} is {}, expected one element without `axis`", input,
                   context.type(input).text());
    return;
  }
  context.require_rank(input, 1, 1);
  if (x == nullptr) return;
  const auto rank = static_cast<int64_t>(x->size());
  const Dim& along = (*x)[static_cast<size_t>(
      InferContext::normalize_axis(context.attrs().get_int("axis", 0), rank))];
  if (known && along.known() && count != along.value)
    fail_invalid("input {} is {}, expected {} elements along the axis", input,
                 context.type(input).text(), along.value);
}

void infer(InferContext& context) {
  check_attrs(context.attrs());
  context.require_dtype(0, kFloat32);
  check_params(context, 1);
  if (context.has_input(2)) check_params(context, 2);
  context.set_type(0, context.type(0));
}

void evaluate(EvalContext& context) {
  const Tensor& x = context.input(0);
  const auto in = x.data<float>(), scale = context.input(1).data<float>();
  const AttrView& attrs = context.attrs();
  const auto qmin = static_cast<double>(attrs.get_int("qmin", 0));
  const auto qmax = static_cast<double>(attrs.get_int("qmax", 0));
  QuantLayout layout;
  if (attrs.has("axis")) layout = quant_layout(attrs, x.shape(), context.input(1).shape());
  Tensor y(DType::kF32, x.shape());
  const auto out = y.mutable_data<float>();
  for (size_t i = 0; i < in.size(); ++i) {
    const auto c = static_cast<size_t>(layout.scale_index(static_cast<int64_t>(i)));
    const float s = std::max(scale[c], kLeastFakeScale);
    const double zero =
        context.has_input(2)
            ? std::clamp<double>(std::nearbyint(context.input(2).data<float>()[c]), qmin, qmax)
            : 0;
    const double q = std::clamp(std::nearbyint(in[i] / s) + zero, qmin, qmax);
    out[i] = std::isnan(in[i]) ? in[i] : static_cast<float>(q - zero) * s;
  }
  context.set_output(0, std::move(y));
}

void fake_quantize_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  if (!flow.attrs().has("axis")) return;
  for (size_t i : {1u, 2u}) tie_parameter(flow, i, flow.input(0, flow.attrs().get_int("axis", 0)));
}

}  // namespace

const OpDef& op_ai_lapidary_FakeQuantize() {
  static const OpDef def = without_half_form({.domain = kOwnDomain,
                                              .name = "FakeQuantize",
                                              .versions = {1},
                                              .inputs = {2, 3},
                                              .outputs = {1, 1},
                                              .attrs = {{"axis", AttrKind::kInt},
                                                        {"qmin", AttrKind::kInt, true},
                                                        {"qmax", AttrKind::kInt, true},
                                                        {"gradient", AttrKind::kString},
                                                        {"gradient_scale", AttrKind::kFloat}},
                                              .infer = infer,
                                              .evaluate = evaluate,
                                              .axes = fake_quantize_axes});
  return def;
}

}  // namespace lapidary
