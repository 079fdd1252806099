#pragma once

#include "src/pipeline/pruning/params.h"
#include "src/pipeline/step.h"

namespace lapidary {

/// The metric of models in which one group alone, of those that may lose units, has lost shares of
/// its units: those of least score, the nearest whole number, one at least left.
SensitivityRecord measure_sensitivity(const StepContext& context, const PruningGraph& graph,
                                      const UnitScores& scores, const PruneParams& params);

}  // namespace lapidary
