#pragma once

#include <vector>

#include "lapidary/evaluate.h"

namespace lapidary {

/// Runs all models over the data in one pass, so that each sample is decoded once. `reference`
/// indexes the float model that the others are held against, or is -1.
std::vector<Validation> evaluate_models(const std::vector<const Graph*>& models, int reference,
                                        const Dataset& data, const EvaluateOptions& options);

/// "" where all outputs of a model are finite, otherwise a sentence that counts those that are not.
std::string nonfinite_warning(const std::string& model, const Validation& found);

}  // namespace lapidary
