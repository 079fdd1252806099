#include "quantize/qat/weights.h"

#include <algorithm>
#include <cmath>

#include "quantize/weights.h"
#include "src/passes/edit.h"

namespace lapidary {

QuantParams initial_weight_params(const Tensor& weight, const QuantScheme& scheme, bool learned) {
  QuantParams params = weight_qparams(weight, {scheme});
  if (!learned) return params;
  const Slices s =
      scheme.axis < 0 ? Slices{1, 1, weight.size()} : slices_of(weight.shape(), scheme.axis);
  const auto w = weight.data<float>();
  std::vector<double> sums(params.scale.size());
  for (size_t i = 0; i < w.size(); ++i)
    sums[i / static_cast<size_t>(s.inner) % sums.size()] += std::fabs(w[i]);
  const double count = static_cast<double>(s.outer * s.inner), root = std::sqrt(params.qmax);
  for (size_t c = 0; c < sums.size(); ++c)
    if (sums[c] > 0)
      params.scale[c] = std::min(params.scale[c], static_cast<float>(2 * sums[c] / count / root));
  return params;
}

std::vector<double> batchnorm_factors(const Graph& graph, NodeId batchnorm) {
  const auto gamma = *constant_floats(graph, input_of(graph, batchnorm, 1));
  const auto variance = *constant_floats(graph, input_of(graph, batchnorm, 4));
  const double epsilon = float_attr(graph, batchnorm, "epsilon", 1e-5f);
  std::vector<double> factors;
  for (size_t c = 0; c < gamma.size(); ++c)
    factors.push_back(gamma[c] / std::sqrt(static_cast<double>(variance[c]) + epsilon));
  return factors;
}

}  // namespace lapidary
