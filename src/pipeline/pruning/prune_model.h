#pragma once

#include <optional>

#include "src/pipeline/latency_table.h"
#include "src/pipeline/pruning/params.h"
#include "src/pipeline/step.h"

namespace lapidary {

/// Throws Error{kUnsupported} where nothing can be removed.
void require_groups(const PruningGraph& graph);

/// Of a dry run, into the report: groups, and how far towards the target it can go (not of the
/// target latency, for which models would be timed). Throws Error{kUsage} where names in the
/// parameters match nothing.
void plan_pruning(StepContext& context, const PruningGraph& graph, const PruneParams& params);

/// A warning where the nearest point was not near: what was asked for, what is left, what is in the
/// way.
void warn_of_target(StepContext& context, const std::string& of, double asked, double got,
                    const std::vector<std::string>& in_the_way);

/// Per group: why it may lose nothing, or empty.
std::vector<std::string> kept_whole(const PruningGraph& graph, const PruneParams& params);

/// Picks the units of least score by the criterion, with the recipe's data where it looks at some.
/// Scores are taken once, and of the target latency each shape is timed once.
class Selector {
 public:
  Selector(StepContext& context, const PruningGraph& graph, const PruneParams& params);

  const UnitScores& scores() const { return scores_; }
  /// `options`: as PruneParams::select_options has them, or another share.
  Selection operator()(SelectOptions options);

 private:
  const StepContext& context_;
  const PruningGraph& graph_;
  UnitScores scores_;
  std::optional<LatencyTable> table_;  ///< of the target latency
};

/// The graph without the units that were selected, proven, and the record of the report, under the
/// name of `step`.
Graph cut_units(StepContext& context, const std::string& step, const PruningGraph& graph,
                const PruneParams& params, const Selection& selection,
                KeptElements* kept = nullptr);

/// Brings `pruned`, what `graph` is without these units, nearer to it, where the parameters ask for
/// that and the recipe has calib data.
std::optional<RepairRecord> repair_pruned(const StepContext& context, const PruningGraph& graph,
                                          const RemovedUnits& removed, const PruneParams& params,
                                          Graph& pruned);

}  // namespace lapidary
