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
  context.require_dtype(1, kFloatDTypes);
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
  const std::vector<int32_t> in = read_quantized(x);
  const std::vector<float> scale = read_as<float>(context.input(1));
  const std::vector<int32_t> zero_point =
      context.has_input(2) ? read_quantized(context.input(2)) : std::vector<int32_t>(scale.size());
  std::vector<float> out(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const auto s = static_cast<size_t>(layout.scale_index(static_cast<int64_t>(i)));
    out[i] = static_cast<float>(static_cast<int64_t>(in[i]) - zero_point[s]) * scale[s];
  }
  const DType dtype = output_dtype(context.attrs(), context.input(1).dtype());
  context.set_output(0, make_from(dtype, x.shape(), out));
}

}  // namespace

const OpDef& op_DequantizeLinear() {
  static const OpDef def{.name = "DequantizeLinear",
                         .versions = {10, 13, 19, 21, 23, 24, 25},
                         .inputs = {2, 3},
                         .outputs = {1, 1},
                         .attrs = {{.name = "axis", .kind = AttrKind::kInt, .since = 13},
                                   {.name = "block_size", .kind = AttrKind::kInt, .since = 21},
                                   {.name = "output_dtype", .kind = AttrKind::kInt, .since = 23}},
                         .infer = infer_dequantize,
                         .evaluate = evaluate_dequantize};
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
                         .evaluate = evaluate_dequantize};
  return def;
}

}  // namespace lapidary
