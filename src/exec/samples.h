#pragma once

#include <optional>

#include "lapidary/graph.h"

namespace lapidary::exec {

/// Samples of a bound graph: the size that the first axes of all inputs share; 0 where they do not,
/// or an input is a scalar.
int64_t sample_count(const Graph& graph);

/// A graph bound to `samples` samples, as the same graph bound to `fewer` (a divisor of them),
/// where that is certain to be the same function of each sample: every node maps the rows of a
/// sample, a part of the first axis, to rows of that sample and reads nothing of another. None
/// where a node is not known to (samples.def lists the ops that are), or an output has no rows.
/// Sizes of the batch that the file fixes (in Reshape, Expand, Resize, repeated constants) are made
/// anew.
std::optional<Graph> with_fewer_samples(const Graph& graph, int64_t samples, int64_t fewer);

}  // namespace lapidary::exec
