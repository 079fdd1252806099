#include <algorithm>

#include "src/ops/axis_flow.h"
#include "src/ops/quant.h"

namespace lapidary {

namespace {

// scale = (max(0, max x) - min(0, min x)) / 255 (1 where x is all zero), zero_point = saturate(-min
// / scale), y = saturate(round(x / scale) + zero_point)

void infer_dynamic(InferContext& context) {
  constexpr std::array kFloat{DType::kF32};
  context.require_dtype(0, kFloat);
  TensorType y = context.type(0);
  y.dtype = DType::kU8;
  context.set_type(0, std::move(y));
  context.set_type(1, DType::kF32, {});
  context.set_type(2, DType::kU8, {});
}

void evaluate_dynamic(EvalContext& context) {
  const auto x = context.input(0).data<float>();
  float low = 0, high = 0;
  for (float v : x) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const QuantRange range = quant_range(DType::kU8);
  const float scale = low == high ? 1.0f : (high - low) / 255.0f;
  const int32_t zero_point = saturate(0.0f - low / scale, 0, range);
  std::vector<int32_t> y(x.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = saturate(x[i] / scale, zero_point, range);
  context.set_output(0, make_quantized(DType::kU8, context.input(0).shape(), y));
  context.set_output(1, Tensor::scalar(scale));
  context.set_output(2, Tensor::scalar(static_cast<uint8_t>(zero_point)));
}

/// The range holds 0: what is zero does not change it.
void dynamic_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  for (int64_t i = 0; i < flow.input_rank(0); ++i) flow.sums(flow.input(0, i));
}

}  // namespace

const OpDef& op_DynamicQuantizeLinear() {
  static const OpDef def{.name = "DynamicQuantizeLinear",
                         .versions = {11},
                         .inputs = {1, 1},
                         .outputs = {3, 3},
                         .infer = infer_dynamic,
                         .evaluate = evaluate_dynamic,
                         .axes = dynamic_axes,
                         .role = QuantRole::kInteger};
  return def;
}

}  // namespace lapidary
