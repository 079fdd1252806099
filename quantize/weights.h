#pragma once

#include <string>
#include <vector>

#include "quantize/qparams.h"

namespace lapidary {

struct WeightOptions {
  QuantScheme scheme;
  std::string calibrator = "minmax";  ///< minmax | mse
};

/// Scales of a weight tensor: per slice along scheme.axis the range seen (minmax) or the one with
/// the least squared rounding error (mse). A slice of zeros gets scale 1; none is below 2^-24 of
/// the largest (a channel that is as good as zero must not blow up its bias).
QuantParams weight_qparams(const Tensor& weight, const WeightOptions& options);
/// Slices that hold only zeros.
std::vector<int64_t> zero_slices(const Tensor& weight, int64_t axis);

/// Raises weight scales until every bias fits int32 in units of s_x * s_w with room for
/// corrections:
///   |b[c]| <= s_x * s_w[c] * 2^30. The number of scales raised.
int64_t guard_bias(QuantParams& weight, float input_scale, std::span<const float> bias);

/// b_q[c] = rint(b[c] / (s_x * s_w[c])), the product in float32; scale and zero point of the
/// result.
QuantParams bias_qparams(const QuantParams& weight, float input_scale);

}  // namespace lapidary
