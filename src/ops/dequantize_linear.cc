#include "src/ops/quant.h"

namespace lapidary {

namespace {

// y = float(x - zero_point) * scale

DType output_dtype(const AttrView& attrs, DType scale) {
  const auto asked = static_cast<DType>(attrs.get_int("output_dtype", 0));
  return asked == DType::kUndefined ? scale : asked;
}

void infer_dequantize(InferContext& context) {
  if (is_float(context.dtype(0)))
    fail_invalid("the input is {}, expected a quantized type", context.type(0).text());
  constexpr std::array kScale{DType::kF32, DType::kF16, DType::kBF16};
  const bool newer = !context.attrs().node().domain.empty() || context.version() >= 19;
  context.require_dtype(1, std::span(kScale).first(newer ? 3 : 1));
  if (context.has_input(2)) context.require_same_dtype(0, 2);
  infer_quant_params(context);
  TensorType out = context.type(0);
  out.dtype = output_dtype(context.attrs(), context.dtype(1));
  if (out.dtype != DType::kUndefined && !is_float(out.dtype))
    fail_invalid("output_dtype is {}, expected a floating type", dtype_name(out.dtype));
  context.set_type(0, std::move(out));
}

void evaluate_dequantize(EvalContext& context) {
  const Tensor& x = context.input(0);
  check_scale(context.input(1));
  const QuantLayout layout = quant_layout(context.attrs(), x.shape(), context.input(1).shape());
  const std::vector<float> scale = read_as<float>(context.input(1));
  std::vector<float> out(static_cast<size_t>(x.size()));
  const auto scaled = [&](const auto& q, const auto& zero_point, auto&& difference) {
    for (size_t i = 0; i < out.size(); ++i) {
      const auto s = static_cast<size_t>(layout.scale_index(static_cast<int64_t>(i)));
      out[i] = difference(q[i], zero_point.empty() ? 0 : zero_point[s]) * scale[s];
    }
  };
  const auto zero_point = [&](auto&& read) {
    return context.has_input(2) ? read(context.input(2)) : decltype(read(x))();
  };
  if (is_float8(x.dtype()))
    scaled(read_float8(x), zero_point(read_float8), [](float q, float zero) { return q - zero; });
  else
    scaled(read_quantized(x), zero_point(read_quantized),
           [](int64_t q, int64_t zero) { return static_cast<float>(q - zero); });
  const DType dtype = output_dtype(context.attrs(), context.input(1).dtype());
  context.set_output(0, make_from(dtype, x.shape(), out));
}

}  // namespace

const OpDef& op_DequantizeLinear() {
  static const OpDef def{.name = "DequantizeLinear",
                         .versions = {10, 13, 19, 21, 23, 24, 25, 28},
                         .inputs = {2, 3},
                         .outputs = {1, 1},
                         .attrs = {{.name = "axis", .kind = AttrKind::kInt, .since = 13},
                                   {.name = "block_size", .kind = AttrKind::kInt, .since = 21},
                                   {.name = "output_dtype", .kind = AttrKind::kInt, .since = 23}},
                         .infer = infer_dequantize,
                         .evaluate = evaluate_dequantize,
                         .axes = tie_quantized,
                         .role = QuantRole::kInteger};
  return def;
}

const OpDef& op_com_microsoft_DequantizeLinear() {
  static const OpDef def{.domain = "com.microsoft",
                         .name = "DequantizeLinear",
                         .versions = {1},
                         .inputs = {2, 3},
                         .outputs = {1, 1},
                         .attrs = {{"axis", AttrKind::kInt}, {"block_size", AttrKind::kInt}},
                         .infer = infer_dequantize,
                         .evaluate = evaluate_dequantize,
                         .axes = tie_quantized,
                         .role = QuantRole::kInteger};
  return def;
}

}  // namespace lapidary
