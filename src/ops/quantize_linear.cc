#include "src/ops/quant.h"

namespace lapidary {

namespace {

// y = saturate(round_half_even(x / scale) + zero_point), the division in float32.

DType output_dtype(const InferContext& context) {
  const auto asked = static_cast<DType>(context.attrs().get_int("output_dtype", 0));
  const DType zero_point = context.has_input(2) ? context.dtype(2) : DType::kUndefined;
  if (asked != DType::kUndefined && zero_point != DType::kUndefined && asked != zero_point)
    fail_invalid("output_dtype is {}, the zero point {}", dtype_name(asked),
                 dtype_name(zero_point));
  if (asked != DType::kUndefined && !dtype_known(asked))
    fail_invalid("output_dtype is {}", dtype_name(asked));
  if (context.has_input(2)) return zero_point;
  return asked != DType::kUndefined ? asked : DType::kU8;
}

/// float32 before version 19, x's type before 23, then any.
void check_scale_type(const InferContext& context, std::span<const DType> any) {
  const bool microsoft = !context.attrs().node().domain.empty();
  if (!microsoft && context.version() < 19) return context.require_dtype(1, kFloat32);
  context.require_dtype(1, any);
  if (microsoft || context.version() < 23) context.require_same_dtype(0, 1);
}

void infer_quantize(InferContext& context) {
  constexpr std::array kReal{DType::kF32, DType::kF16, DType::kBF16, DType::kI32};
  context.require_dtype(0, kReal);
  check_scale_type(context, kReal);
  infer_quant_params(context);
  TensorType out = context.type(0);
  out.dtype = output_dtype(context);
  context.set_type(0, std::move(out));
}

/// y = float8(x / scale); the standard knows no zero point but 0 here.
void evaluate_to_float8(EvalContext& context, DType dtype, const QuantLayout& layout,
                        std::span<const float> x, std::span<const float> scale) {
  if (context.has_input(2))
    for (const float zero : read_float8(context.input(2)))
      if (zero != 0)
        fail_invalid("the zero point of {} is {}, expected 0", dtype_name(dtype), zero);
  const bool saturate = context.attrs().get_int("saturate", 1) != 0;
  Tensor y(dtype, context.input(0).shape());
  auto* to = static_cast<uint8_t*>(y.mutable_raw());
  for (size_t i = 0; i < x.size(); ++i) {
    const auto s = static_cast<size_t>(layout.scale_index(static_cast<int64_t>(i)));
    to[i] = to_float8(x[i] / scale[s], dtype, saturate);
  }
  context.set_output(0, std::move(y));
}

void evaluate_quantize(EvalContext& context) {
  const Tensor& x = context.input(0);
  const auto asked = static_cast<DType>(context.attrs().get_int("output_dtype", 0));
  const DType dtype = context.has_input(2)         ? context.input(2).dtype()
                      : asked == DType::kUndefined ? DType::kU8
                                                   : asked;
  check_scale(context.input(1));
  const QuantLayout layout = quant_layout(context.attrs(), x.shape(), context.input(1).shape());
  const std::vector<float> in = read_as<float>(x), scale = read_as<float>(context.input(1));
  if (is_float8(dtype)) return evaluate_to_float8(context, dtype, layout, in, scale);
  const QuantRange range = quant_range(dtype);
  const std::vector<int32_t> zero_point =
      context.has_input(2) ? read_quantized(context.input(2)) : std::vector<int32_t>(scale.size());
  std::vector<int32_t> out(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const auto s = static_cast<size_t>(layout.scale_index(static_cast<int64_t>(i)));
    out[i] = saturate(in[i] / scale[s], zero_point[s], range);
  }
  context.set_output(0, make_quantized(dtype, x.shape(), out));
}

}  // namespace

const OpDef& op_QuantizeLinear() {
  static const OpDef def{.name = "QuantizeLinear",
                         .versions = {10, 13, 19, 21, 23, 24, 25, 28},
                         .inputs = {2, 3},
                         .outputs = {1, 1},
                         .attrs = {{.name = "axis", .kind = AttrKind::kInt, .since = 13},
                                   {.name = "saturate", .kind = AttrKind::kInt, .since = 19},
                                   {.name = "block_size", .kind = AttrKind::kInt, .since = 21},
                                   {.name = "output_dtype", .kind = AttrKind::kInt, .since = 21},
                                   {.name = "precision", .kind = AttrKind::kInt, .since = 23}},
                         .infer = infer_quantize,
                         .evaluate = evaluate_quantize,
                         .axes = tie_quantized,
                         .role = QuantRole::kInteger,
                         .output_scale = 1};
  return def;
}

/// What stands in for 16- and 4-bit types below opset 21.
const OpDef& op_com_microsoft_QuantizeLinear() {
  static const OpDef def{.domain = "com.microsoft",
                         .name = "QuantizeLinear",
                         .versions = {1},
                         .inputs = {2, 3},
                         .outputs = {1, 1},
                         .attrs = {{"axis", AttrKind::kInt}, {"block_size", AttrKind::kInt}},
                         .infer = infer_quantize,
                         .evaluate = evaluate_quantize,
                         .axes = tie_quantized,
                         .role = QuantRole::kInteger,
                         .output_scale = 1};
  return def;
}

}  // namespace lapidary
