#pragma once

#include <cstdint>
#include <string>

#include "lapidary/train.h"

namespace lapidary {

/// What `fit` refuses before its first step: options that contradict each other, the number of
/// samples, or the graph that is trained. Throws Error{kUsage}.
void check_fit(const FitOptions& options, int64_t samples, const Graph& graph);

/// What `fit` refuses of the checkpoint that it would go on from, where there is one; `trainer` is
/// then where that was.
void check_resume(Trainer& trainer, const Dataset& data, const FitOptions& options);

/// Refuses a checkpoint whose settings (FitOptions::recipe_digest) are others: the file, or the one
/// before it where that cannot be read. None at all passes.
void check_checkpoint_recipe(const std::string& path, const std::string& recipe);

}  // namespace lapidary
