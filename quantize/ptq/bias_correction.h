#pragma once

#include <map>
#include <string>

#include "calibrate/statistics.h"
#include "quantize/ptq/lockstep.h"

namespace lapidary {

/// Window sums of a quantized layer's input over held samples, in units of its scale.
struct IntegerWindows {
  int64_t positions = 0;
  std::vector<int64_t> sums;  ///< of q - zero_point, one per window column
};
IntegerWindows integer_windows(const Graph& graph, const QdqLayer& layer,
                               const Lockstep::Batches& input, int threads);

/// The bias that brings every output channel's mean back to the float model's:
///   b'[c] = b[c] + sum_k W[c, k] E[x_k] - sum_k W^[c, k] E[x^_k],
/// x, W: float model, over `windows`; x^, W^: as quantized. Exact, since the layer is linear.
std::vector<double> corrected_bias(const Graph& graph, const QdqLayer& layer,
                                   const WindowStats& float_windows, const IntegerWindows& windows);

}  // namespace lapidary
