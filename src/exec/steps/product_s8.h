#pragma once

#include <optional>
#include <vector>

#include "kernels/conv_s8/conv_s8.h"
#include "src/exec/steps/quant.h"

namespace lapidary::exec {

/// What convolutions and matrix products in INT8 share: constant weights of one integer type, their
/// zero points, and scales per output channel.
struct WeightsS8 {
  kernels::ConvS8Weights weights;
  std::vector<int32_t> zero_points;  ///< one or OC
  bool ternary = false;              ///< -1, 0 and 1 with zero point 0, by UnpackTernary
};
/// None where weights or zero points are no 8-bit constants, or the zero points are neither one nor
/// `channels`.
std::optional<WeightsS8> weights_s8(const PlanBuilder& b, ValueId weights, ValueId zero_point,
                                    int64_t channels);
/// Elements of a constant float tensor with 1 or `channels` elements.
std::optional<std::vector<float>> channel_scales(const PlanBuilder& b, ValueId scale,
                                                 int64_t channels);
/// A zero point of one element as the kernels see it, 0 (128 for s8) where absent.
std::optional<int> byte_zero(const PlanBuilder& b, ValueId zero, DType storage);

/// Everything that one INT8 product step needs.
struct ProductS8 {
  kernels::ConvShape shape;
  WeightsS8 weights;
  std::vector<uint8_t> joined;     ///< what `weights` points to where groups were joined
  const int32_t* bias = nullptr;   ///< [OC] or null
  std::vector<float> multipliers;  ///< empty: kI32
  int x_zero = 0, y_zero = 0;
  kernels::ConvS8Output output = kernels::ConvS8Output::kU8;
  Tensor float_bias;                  ///< kF32, or empty
  Layout layout = Layout::kRowMajor;  ///< of x and y
  ValueId x;
  ByteTail tail;
};
/// Packs the weights and appends the step.
void emit_product_s8(PlanBuilder& b, const ProductS8& product);

}  // namespace lapidary::exec
