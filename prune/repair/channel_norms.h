#pragma once

#include <vector>

#include "lapidary/prune.h"

namespace lapidary::prune {

/// A BatchNormalization that stands for the mean and variance of a layer's channels.
struct ChannelNorm {
  std::string layer, norm;  ///< node keys
};
/// Puts one behind every Conv and Gemm with a bias of its own that none follows, and whose result
/// is no output of the graph, so that the graph computes what it did: gains and shifts undo its
/// statistics, which are those over the data.
std::vector<ChannelNorm> add_channel_norms(Graph& graph, const Dataset& data,
                                           const RepairOptions& options);
/// Takes them out again: weights and biases of the layers do what they did. How many.
int64_t fold_channel_norms(Graph& graph, const std::vector<ChannelNorm>& norms);

}  // namespace lapidary::prune
