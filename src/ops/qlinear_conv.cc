#include "src/ops/axis_flow.h"
#include "src/ops/conv.h"
#include "src/ops/quant.h"

// acc = sum (x - zx) (w - zw[m]) (+ bias[m]), 32 bits that wrap. ConvInteger gives acc; QLinearConv
// y = saturate(round(float(acc) * ((sx * sw[m]) / sy)) + zy), the products in float32 in that
// order.

namespace lapidary {

namespace {

// Inputs of QLinearConv: x, sx, zx, w, sw, zw, sy, zy, bias.

Dim out_channels(const InferContext& context, size_t w) {
  const auto* shape = context.shape(w);
  return shape && !shape->empty() ? (*shape)[0] : Dim();
}

void infer_qlinear_conv(InferContext& context) {
  context.require_dtype(0, kByteDTypes);
  context.require_dtype(3, kByteDTypes);
  context.require_dtype(7, kByteDTypes);
  context.require_same_dtype(0, 2);
  context.require_same_dtype(3, 5);
  constexpr std::array kInt32{DType::kI32};
  context.require_dtype(8, kInt32);
  infer_scalar_scale(context, 1);
  infer_scalar_scale(context, 6);
  infer_slice_scales(context, 4, out_channels(context, 3));
  infer_zero_point(context, 2, 1);
  infer_zero_point(context, 7, 6);
  check_conv_bias(context, 8, 3);
  context.set_type(0, TensorType{context.dtype(7), conv_output_shape(context, 0, 3)});
}

/// Weights minus their channel's zero point.
std::vector<int32_t> centered_weights(const EvalContext& context, size_t w, size_t zero_point) {
  const Tensor& tensor = context.input(w);
  const std::vector<int32_t> zero = read_zero_points(context, zero_point, tensor.dim(0));
  std::vector<int32_t> out = read_quantized(tensor);
  const size_t per_channel = out.size() / std::max<size_t>(1, zero.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] -= zero[i / per_channel];
  return out;
}

void evaluate_qlinear_conv(EvalContext& context) {
  const Tensor& w = context.input(3);
  const ConvGeometry g = conv_geometry(context.attrs(), context.input(0).shape(), w.shape());
  const float x_scale = read_scale(context, 1), y_scale = read_scale(context, 6);
  const std::vector<float> w_scale = read_scales(context, 4, g.out_channels);
  const int32_t y_zero = read_zero_point(context, 7);
  const DType dtype = context.input(7).dtype();
  const QuantRange range = quant_range(dtype);
  const std::vector<int32_t> bias = context.has_input(8)
                                        ? read_quantized(context.input(8))
                                        : std::vector<int32_t>(static_cast<size_t>(g.out_channels));
  std::vector<int32_t> y(static_cast<size_t>(element_count(g.output)));
  const auto store = [&](int64_t n, int64_t m, std::span<const uint32_t> acc) {
    const float multiplier = (x_scale * w_scale[static_cast<size_t>(m)]) / y_scale;
    int32_t* to = y.data() + (n * g.out_channels + m) * g.out_area();
    for (size_t i = 0; i < acc.size(); ++i) {
      const auto sum =
          static_cast<int32_t>(acc[i] + static_cast<uint32_t>(bias[static_cast<size_t>(m)]));
      to[i] = saturate(static_cast<float>(sum) * multiplier, y_zero, range);
    }
  };
  convolve<uint32_t, int32_t>(g, read_centered(context, 0, 2), centered_weights(context, 3, 5),
                              store);
  context.set_output(0, make_quantized(dtype, g.output, y));
}

void qlinear_conv_axes(AxisFlow& flow) {
  tie_conv_channels(flow, 0, 3);
  for (size_t i : {4u, 5u, 8u}) tie_parameter(flow, i, flow.input(3, 0));
}

int64_t qlinear_conv_macs(const AttrView&, std::span<const TensorType> inputs,
                          std::span<const TensorType> outputs) {
  return conv_macs_of(inputs[3], outputs[0]);
}

// Inputs of ConvInteger: x, w, zx, zw.

void infer_conv_integer(InferContext& context) {
  context.require_dtype(0, kByteDTypes);
  context.require_dtype(1, kByteDTypes);
  if (context.has_input(2)) context.require_same_dtype(0, 2);
  if (context.has_input(3)) context.require_same_dtype(1, 3);
  context.set_type(0, TensorType{DType::kI32, conv_output_shape(context, 0, 1)});
}

void evaluate_conv_integer(EvalContext& context) {
  const ConvGeometry g =
      conv_geometry(context.attrs(), context.input(0).shape(), context.input(1).shape());
  Tensor out(DType::kI32, g.output);
  auto y = out.mutable_data<int32_t>();
  const auto store = [&](int64_t n, int64_t m, std::span<const uint32_t> acc) {
    const auto to = y.subspan(static_cast<size_t>((n * g.out_channels + m) * g.out_area()));
    for (size_t i = 0; i < acc.size(); ++i) to[i] = static_cast<int32_t>(acc[i]);
  };
  convolve<uint32_t, int32_t>(g, read_centered(context, 0, 2), centered_weights(context, 1, 3),
                              store);
  context.set_output(0, std::move(out));
}

void conv_integer_axes(AxisFlow& flow) {
  tie_conv_channels(flow, 0, 1);
  tie_parameter(flow, 3, flow.input(1, 0));
}

int64_t conv_integer_macs(const AttrView&, std::span<const TensorType> inputs,
                          std::span<const TensorType> outputs) {
  return conv_macs_of(inputs[1], outputs[0]);
}

const std::vector<AttrSpec> kConvAttrs{kAutoPadSpec,
                                       {"dilations", AttrKind::kInts},
                                       {"group", AttrKind::kInt},
                                       {"kernel_shape", AttrKind::kInts},
                                       kPadsSpec,
                                       kStridesSpec};

int64_t first_axis(const AttrView&, int64_t) { return 0; }

}  // namespace

const OpDef& op_QLinearConv() {
  static const OpDef def{.name = "QLinearConv",
                         .versions = {10},
                         .inputs = {8, 9},
                         .outputs = {1, 1},
                         .attrs = kConvAttrs,
                         .infer = infer_qlinear_conv,
                         .evaluate = evaluate_qlinear_conv,
                         .axes = qlinear_conv_axes,
                         .role = QuantRole::kInteger,
                         .output_scale = 6,
                         .weight = {3, first_axis, 8},
                         .macs = qlinear_conv_macs};
  return def;
}

const OpDef& op_ConvInteger() {
  static const OpDef def{.name = "ConvInteger",
                         .versions = {10},
                         .inputs = {2, 4},
                         .outputs = {1, 1},
                         .attrs = kConvAttrs,
                         .infer = infer_conv_integer,
                         .evaluate = evaluate_conv_integer,
                         .axes = conv_integer_axes,
                         .role = QuantRole::kInteger,
                         .weight = {1, first_axis},
                         .macs = conv_integer_macs};
  return def;
}

}  // namespace lapidary
