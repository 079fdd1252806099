#pragma once

#include <map>
#include <string>
#include <vector>

#include "calibrate/statistics.h"
#include "lapidary/graph.h"

namespace lapidary {

/// Factors per channel, by tensor.
using ChannelFactors = std::map<std::string, std::vector<double>>;

/// Brings the channels of activations that only depthwise convolutions read to one range, so that
/// one scale serves them all. For channel c and any s_c > 0
///   W2[c] f(W1[c, :] x + b1[c]) = (W2[c] / s_c) f(s_c W1[c, :] x + s_c b1[c])
/// for f = identity, Relu, LeakyRelu, and for Clip(0, m) while s_c f(.) stays below m. Both weights
/// have a scale per channel, so that nothing is lost in them. (A dense W2 has one scale for all
/// s_c: there the gain went into the weights' error, within 0.3 dB on six networks.) Changes
/// weights and biases; the graph computes what it did, up to float rounding.
ChannelFactors equalize_depthwise(Graph& graph, const Statistics::Impl& stats);

/// Statistics of the equalized graph: ranges, channels and window sums of scaled tensors follow
/// from the factors; their histograms from one pass over the first `samples` of the data (0: none).
Statistics equalized_statistics(const Graph& graph, const Statistics& before,
                                const ChannelFactors& factors, const Dataset& data, int64_t samples,
                                int threads);

}  // namespace lapidary
