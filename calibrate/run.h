#pragma once

#include <string>
#include <vector>

#include "calibrate/statistics.h"
#include "lapidary/calibrate.h"
#include "lapidary/data.h"
#include "lapidary/graph.h"
#include "lapidary/ranks.h"

namespace lapidary {

/// What statistics hold besides ranges and channels.
struct Collect {
  bool histograms = true, windows = true;
};
/// `calibrate` without what nobody will ask these statistics for. Of several processes each sees
/// its part of the samples, and all return the statistics of all of them: the bytes that one
/// process would make. A checkpoint is then refused.
LAPIDARY_API Statistics calibrate_partly(const Graph& graph, const Dataset& data,
                                         const CalibrateOptions& options, Collect collect,
                                         Ranks* ranks = nullptr);

/// The graph as statistics see it: optimized, with types. Statistics are bound to its hash, so that
/// it does not matter whether `calibrate` and `quantize` were given the model as loaded or
/// optimized.
Graph calibrated_form(const Graph& graph);

/// Statistics without histograms of the first `samples` samples: means of a held set. `form` is a
/// calibrated_form.
Statistics collect_means(const Graph& form, const Dataset& data, int64_t samples, int threads);

/// Statistics of the named tensors alone, without window sums; several processes share the samples
/// as in calibrate_partly.
Statistics collect_tensors(const Graph& form, const Dataset& data, int64_t samples,
                           const std::vector<std::string>& tensors, int threads,
                           Ranks* ranks = nullptr);

}  // namespace lapidary
