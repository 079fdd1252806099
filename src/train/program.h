#pragma once

#include <set>
#include <vector>

#include "src/train/analysis.h"

namespace lapidary::train {

/// The nodes that some values need, in order, and what may be forgotten after each.
struct Program {
  struct Step {
    NodeId node;                    ///< none: its work is done, `release` is left
    int guard = -1;                 ///< of Analysis::guards: must hold for it to run; -1: always
    std::vector<ValueId> release;   ///< read here for the last time
    uint64_t overwritable = 0;      ///< bit i: input i is fresh and nobody else's
    std::vector<NodeId> then = {};  ///< what may be computed with it: each reads the one before
  };
  std::vector<Step> steps;
  std::vector<ValueId> inputs;     ///< of the graph, that it reads
  std::vector<ValueId> constants;  ///< that it reads, `folded` ones among them
};

/// Nodes that only depend on fixed constants are no steps of it: their values are `folded` (already
/// computed) and count as constants.
Program plan(const Graph& graph, const Analysis& analysis, const std::vector<ValueId>& wanted);

}  // namespace lapidary::train
