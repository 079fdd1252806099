#pragma once

#include "quantize/ranges.h"

namespace lapidary {

/// Chooses every activation's range among what all observers propose: the one with the least
/// squared error, relative to the output's energy, in the outputs of the nodes that read the
/// tensor, measured on `samples` spread over the data with everything else in float. Readers that
/// only move or add values count the tensor's own error.
RangeMap search_ranges(const Graph& graph, const Placement& placement, const Statistics& stats,
                       const Dataset& data, int64_t samples, const RangeOptions& options,
                       int threads);

}  // namespace lapidary
