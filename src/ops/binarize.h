#pragma once

#include <cmath>
#include <string_view>

#include "src/ops/axis_flow.h"
#include "src/ops/infer.h"
#include "src/ops/opdef.h"

// What the ops of binary and ternary layers in training share.

namespace lapidary {

/// 1 where x >= 0 (-0 too), else -1; NaN stays NaN.
inline float sign_of(float x) { return x >= 0 ? 1.0f : x < 0 ? -1.0f : x; }

/// The names that attribute `estimator` may have: what stands for the derivative of the sign.
///   ste     1 where |x| <= 1, else 0                                   (Hubara et al. 2016)
///   bireal  2 - 2|x| where |x| <= 1, else 0                            (Liu et al. 2018)
///   swish   b (2 - b x tanh(b x / 2)) / (1 + cosh(b x)), b = 5: of SignSwish
///                                                                      (Darabi et al. 2018)
///   ede     k t (1 - tanh(t x)^2), k = max(1 / t, 1), t the input `sharpness`
///                                                                      (Qin et al. 2020)
inline constexpr std::string_view kEstimators[] = {"ste", "bireal", "swish", "ede"};
inline constexpr double kSwishSteepness = 5;

/// Checks attribute `estimator` and input `sharpness` at `slot`: one element, needed by ede.
void check_estimator(const InferContext& context, size_t slot);
/// One element, float32.
void check_single(const InferContext& context, size_t slot);

/// The slices of a weight along attribute `axis` (0 where it is absent).
struct WeightSlices {
  int64_t count = 1, inner = 1, size = 0;  ///< slices; elements behind the axis; in a slice
  size_t of(size_t element) const {
    return element / static_cast<size_t>(inner) % static_cast<size_t>(count);
  }
};
WeightSlices weight_slices(const AttrView& attrs, const Shape& shape);
/// mean |x| of each slice: summed in float64, rounded to float32 once.
std::vector<float> mean_magnitudes(std::span<const float> x, const WeightSlices& slices);

/// Slices may go; within one, elements make up its mean: without one the others come out different.
void sliced_weight_axes(AxisFlow& flow);

}  // namespace lapidary
