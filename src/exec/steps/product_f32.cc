#include "src/exec/steps/product_f32.h"

#include <algorithm>
#include <cmath>

#include "kernels/conv_bf16/conv_bf16.h"
#include "kernels/conv_f16w/conv_f16w.h"

namespace lapidary::exec {

namespace {

constexpr float kHalfMax = 65504;

bool in_half_range(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::abs(v) <= kHalfMax; });
}

}  // namespace

NarrowProduct narrow_product(const PlanBuilder& b, const kernels::ConvShape& shape,
                             const Tensor& weights) {
  if (kernels::is_depthwise(shape)) return {};
  const auto values = weights.data<float>();
  const FloatArithmetic floats = b.float_arithmetic();
  if (floats == FloatArithmetic::kBf16)
    if (const auto* row = kernels::select_conv_bf16(shape).kernel) return {row, "bfloat16"};
  const bool half = floats == FloatArithmetic::kF16Storage
                        ? in_half_range(values)
                        : kernels::fits_f16(values.data(), weights.size());
  if (half) return {kernels::select_conv_f16w(shape).kernel, "float32"};
  return {};
}

}  // namespace lapidary::exec
