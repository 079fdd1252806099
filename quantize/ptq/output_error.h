#pragma once

#include <span>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/graph.h"

namespace lapidary {

/// For each of `models`: mean SQNR in dB of its float outputs against those of `reference`, over
/// about `samples` samples spread over the data and all outputs. NaN where none was measured or a
/// value is not finite.
std::vector<double> output_sqnr(const Graph& reference, std::span<const Graph* const> models,
                                const Dataset& data, int64_t samples, int threads);

}  // namespace lapidary
