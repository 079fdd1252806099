#pragma once

#include <functional>

#include "lapidary/ranks.h"

namespace lapidary::cli {

/// This process as torchrun numbers its workers: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT of the
/// environment; alone where WORLD_SIZE is not set. Throws Error{kUsage} for values that are none.
Rank rank_of_environment();

/// Meets the others and does `work` with them (null: there are none). An error that leaves it is
/// told to them, and gets "rank R of N" as its context.
int together(const Rank& rank, const std::function<int(Ranks*)>& work);

}  // namespace lapidary::cli
