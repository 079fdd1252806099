#pragma once

#include "quantize/ptq/bias_correction.h"

namespace lapidary {

/// Where a layer's output is added to another value (a residual connection): what the addition
/// brings.
struct SkipInput {
  ValueId integers;  ///< the other side as DequantizeLinear reads it
  QuantParams params;
  std::string tensor;  ///< its name in the float graph
};
std::optional<SkipInput> skip_input(const Graph& graph, const QdqLayer& layer);

/// Float minus quantized mean of the skip's channels: the error that the layer's bias can take
/// back, so that it does not add up from block to block. Empty where shapes do not match.
std::vector<double> skip_mean_error(const SkipInput& skip, const TensorStats& stats,
                                    const Lockstep::Batches& held);

}  // namespace lapidary
