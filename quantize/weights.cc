#include "quantize/weights.h"

#include <algorithm>
#include <cmath>

#include "src/base/fail.h"

namespace lapidary {

namespace {

/// Elements of slice `c`, gathered.
std::vector<float> slice(std::span<const float> x, const Slices& s, int64_t c) {
  std::vector<float> out;
  out.reserve(static_cast<size_t>(s.outer * s.inner));
  for (int64_t o = 0; o < s.outer; ++o) {
    const auto from = x.begin() + (o * s.count + c) * s.inner;
    out.insert(out.end(), from, from + s.inner);
  }
  return out;
}

Slices slices_for(const Tensor& weight, int64_t axis) {
  return axis < 0 ? Slices{1, 1, weight.size()} : slices_of(weight.shape(), axis);
}

double rounding_error(const std::vector<float>& x, const Range& range, const QuantScheme& scheme) {
  const QuantParams p = choose_qparams(range, scheme);
  const double scale = p.scale[0];
  double error = 0;
  for (const float v : x) {
    const double q =
        std::clamp<double>(std::nearbyint(v / scale) + p.zero_point[0], p.qmin, p.qmax);
    const double d = (q - p.zero_point[0]) * scale - v;
    error += d * d;
  }
  return error;
}

/// Shrinks both ends by k / 100, k < 50: the least squared error.
Range least_error(const std::vector<float>& x, const Range& seen, const QuantScheme& scheme) {
  Range best = seen;
  double least = INFINITY;
  for (int k = 0; k < 50; ++k) {
    const double share = 1 - k / 100.0;
    const Range range{seen.low * share, seen.high * share};
    const double error = rounding_error(x, range, scheme);
    if (error >= least) continue;
    least = error;
    best = range;
  }
  return best;
}

}  // namespace

std::vector<int64_t> zero_slices(const Tensor& weight, int64_t axis) {
  const Slices s = slices_for(weight, axis);
  std::vector<int64_t> found;
  for (int64_t c = 0; c < s.count; ++c) {
    const auto x = slice(weight.data<float>(), s, c);
    if (std::all_of(x.begin(), x.end(), [](float v) { return v == 0; })) found.push_back(c);
  }
  return found;
}

QuantParams weight_qparams(const Tensor& weight, const WeightOptions& options) {
  if (options.calibrator != "minmax" && options.calibrator != "mse")
    fail_usage("weight_calibrator: '{}'; there are minmax and mse", options.calibrator);
  const Slices s = slices_for(weight, options.scheme.axis);
  QuantScheme one = options.scheme;
  one.axis = -1;
  std::vector<Range> ranges;
  for (int64_t c = 0; c < s.count; ++c) {
    const auto x = slice(weight.data<float>(), s, c);
    Range range;
    for (const float v : x) {
      range.low = std::min<double>(range.low, v);
      range.high = std::max<double>(range.high, v);
    }
    if (options.calibrator == "mse" && range.high > range.low) range = least_error(x, range, one);
    ranges.push_back(range);
  }
  QuantParams params = choose_qparams(ranges, options.scheme);
  float largest = 0;
  for (size_t c = 0; c < ranges.size(); ++c)
    if (ranges[c].high > ranges[c].low) largest = std::max(largest, params.scale[c]);
  for (float& scale : params.scale) scale = std::max(scale, largest * 0x1p-24f);
  return params;
}

int64_t guard_bias(QuantParams& weight, float input_scale, std::span<const float> bias) {
  int64_t raised = 0;
  for (size_t c = 0; c < bias.size(); ++c) {
    float& scale = weight.scale[weight.per_tensor() ? 0 : c];
    const double least = std::fabs(static_cast<double>(bias[c])) / (input_scale * 0x1p30);
    if (scale >= least) continue;
    scale = std::nextafter(static_cast<float>(least), INFINITY);
    ++raised;
  }
  return raised;
}

QuantParams bias_qparams(const QuantParams& weight, float input_scale) {
  QuantParams params;
  params.storage = DType::kI32;
  params.axis = weight.per_tensor() ? -1 : 0;
  params.qmin = std::numeric_limits<int32_t>::min();
  params.qmax = std::numeric_limits<int32_t>::max();
  for (const float scale : weight.scale) {
    params.scale.push_back(input_scale * scale);
    params.zero_point.push_back(0);
  }
  return params;
}

}  // namespace lapidary
