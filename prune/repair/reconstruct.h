#pragma once

#include "lapidary/prune.h"

namespace lapidary::prune {

/// RepairOptions::weights: `kept` is what pruning `whole` to `pruned` left. Counts into `record`.
void reconstruct_weights(const Graph& whole, const KeptElements& kept, Graph& pruned,
                         const Dataset& data, const RepairOptions& options, RepairRecord& record);

}  // namespace lapidary::prune
