#pragma once

#include "quantize/ranges.h"

namespace lapidary {

/// Ranges for x -> LeakyRelu -> y where both x and y are quantized and nothing else reads x: chosen
/// together for the least squared error of y,
///   sum_i n_i (Q_y(f(Q_x(x_i))) - f(x_i))^2 over the histogram of x, clipping weighed kClipWeight.
/// Two forms are tried: scales of their own, and one scale for both, where positive values pass the
/// second rounding unchanged. Negative values, which f makes small, may be clipped much harder than
/// x's own error would allow. Replaces entries of `ranges`; the number of pairs.
int64_t pair_leaky_ranges(const Graph& graph, const Placement& placement, const Statistics& stats,
                          const QuantScheme& scheme, RangeMap& ranges);

}  // namespace lapidary
