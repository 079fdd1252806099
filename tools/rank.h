#pragma once

#include "lapidary/trainer.h"

namespace lapidary::cli {

/// This process as torchrun numbers its workers: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT of the
/// environment; alone where WORLD_SIZE is not set. Throws Error{kUsage} for values that are none.
Rank rank_of_environment();

}  // namespace lapidary::cli
