#pragma once

#include <cstdint>

#include "lapidary/train.h"

namespace lapidary {

/// What `fit` refuses before its first step: options that contradict each other, the number of
/// samples, or the graph that is trained. Throws Error{kUsage}.
void check_fit(const FitOptions& options, int64_t samples, const Graph& graph);

/// What `fit` refuses of the checkpoint that it would go on from. Leaves `trainer` in its state.
void check_resume(Trainer& trainer, const Dataset& data, const FitOptions& options);

}  // namespace lapidary
