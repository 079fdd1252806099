#pragma once

#include <vector>

#include "lapidary/graph.h"
#include "quantize/qparams.h"

namespace lapidary {

/// Scales of weights that training starts from, of symmetric levels:
///   learned   s = min(2 mean|w| / sqrt(qmax), max|w| / qmax)         (Esser et al. 2020)
///   else      s = max|w| / qmax
/// per slice along scheme.axis; a slice of zeros has 1, none is below 2^-24 of the largest.
QuantParams initial_weight_params(const Tensor& weight, const QuantScheme& scheme, bool learned);

/// r[c] = gamma[c] / sqrt(variance[c] + epsilon) of a BatchNormalization of constants.
std::vector<double> batchnorm_factors(const Graph& graph, NodeId batchnorm);

}  // namespace lapidary
