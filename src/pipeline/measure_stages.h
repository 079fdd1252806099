#pragma once

#include <span>

#include "src/pipeline/recipe_data.h"

namespace lapidary {

/// Measures the models of a run, one for each of the report's stages as they were read from their
/// files, into its stages, executions, CPU classes and layers: metrics, layers beside those of the
/// reference, latencies.
void measure_stages(std::span<const Graph> models, const EvaluateParams& params,
                    const RecipeData& data, const RunOptions& options, Report& report);

/// What the data sets had to say, once they were read: warnings of the report.
void note_data(const RecipeData& data, Report& report);

}  // namespace lapidary
