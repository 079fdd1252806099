#pragma once

#include "prune/kept.h"

namespace lapidary::prune {

/// The system's graph with elements that are not kept zeroed where nodes sum over them.
Graph mask_consumers(const Kept& kept);

}  // namespace lapidary::prune
