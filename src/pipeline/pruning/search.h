#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "src/pipeline/pruning/prune_model.h"

namespace lapidary {

/// The share to try after `points`: the smallest that is allowed, then the middle between the
/// largest that was not within the budget and the smallest that was (the whole model is). None
/// where `tries` are spent or the two are nearer than a thousandth.
std::optional<double> next_share(double smallest, int64_t tries,
                                 const std::vector<SearchRecord::Point>& points);

/// The smallest model within PruneParams::budget between the target's share and the whole, of those
/// that were tried: `make` makes each of a selection, as the step would. How far it is lies in
/// StepContext::checkpoint after each try; with StepContext::resume it goes on from there. Nothing
/// where no model is within the budget, which is a warning, or where it was asked to stop
/// (StepContext::interrupted). The record goes into the report. Throws Error{kUsage} for the
/// file of another search.
std::optional<Selection> search_budget(StepContext& context, const PruningGraph& graph,
                                       Selector& select, const PruneParams& params,
                                       const std::function<Graph(const Selection&)>& make);

/// Throws Error{kUsage} where the file is of a search with other parameters; it need not be
/// there.
void check_search(const StepContext& context, const PruneParams& params);

}  // namespace lapidary
