#pragma once

#include "src/pipeline/pruning/params.h"
#include "src/pipeline/step.h"

namespace lapidary {

/// Throws Error{kUnsupported} where nothing can be removed.
void require_groups(const PruningGraph& graph);

/// The units of least score by the criterion, with the recipe's data where it looks at some;
/// `options`: as PruneParams::select_options has them, or another share.
Selection select_of(const StepContext& context, const PruningGraph& graph,
                    const PruneParams& params, SelectOptions options);

/// The graph without the units that were selected, proven, and the record of the report, under the
/// name of `step`.
Graph cut_units(StepContext& context, const std::string& step, const PruningGraph& graph,
                const PruneParams& params, const Selection& selection,
                KeptElements* kept = nullptr);

/// Brings `pruned`, what cut_units gave last, nearer to the model that it was cut from.
void repair_pruned(StepContext& context, const PruningGraph& graph, const RemovedUnits& removed,
                   const Dataset& calib, const PruneParams& params, Graph& pruned);

}  // namespace lapidary
