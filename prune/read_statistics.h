#pragma once

#include <map>
#include <string>
#include <utility>

#include "lapidary/data.h"
#include "prune/criterion.h"

namespace lapidary::prune {

/// By value and axis.
using ReadValues = std::map<std::pair<std::string, int64_t>, ReadStatistics>;

/// Runs about `samples` samples, spread over the data, and sums up what nodes read of all groups'
/// units: ranks or squares. A place's map has a value's other axes but the first: the last one is
/// its columns, all before are its rows; without any it is one number. Throws Error{kUsage} for
/// data that do not fit the graph, Error{kUnsupported} for values that have no samples on their
/// first axis, Error{kInvalid} for values that are not finite.
ReadValues collect_reads(const PruningGraph& graph, const Dataset& data, int64_t samples,
                         int threads, ScoreNeeds wanted);

}  // namespace lapidary::prune
