#pragma once

#include "lapidary/prune.h"
#include "src/pipeline/step.h"

namespace lapidary {

/// Runs the pruned and the masked graph on samples of the recipe's data (of none: on random
/// numbers) and writes into the record how far they are apart, or why that was not done. Throws
/// Error{kInternal} where they are further apart than kMaskedTolerance.
void prove_pruned(StepContext& context, const PruningGraph& graph, const RemovedUnits& removed,
                  const Graph& pruned, PruneRecord& record);

}  // namespace lapidary
