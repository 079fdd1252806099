#pragma once

#include <span>

#include "src/pipeline/recipe_data.h"

namespace lapidary {

/// The models of a run, one for each stage of its report, as they were read from their files.
struct StageModels {
  std::span<const Graph> models;
  /// The stage that agreement, SQNR and layers are measured against: the last one whose weights
  /// began anew, else the first.
  size_t reference = 0;
};

/// Measures into the report's stages, executions and CPU classes: metrics, layers beside those of
/// the reference, latencies.
void measure_stages(const StageModels& stages, const EvaluateParams& params, const RecipeData& data,
                    const RunOptions& options, Report& report);

/// What the data sets had to say, once they were read: warnings of the report.
void note_data(const RecipeData& data, Report& report);

}  // namespace lapidary
