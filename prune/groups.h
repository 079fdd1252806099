#pragma once

#include <vector>

#include "lapidary/prune.h"
#include "prune/axes.h"

namespace lapidary::prune {

/// The free classes of an axis system, as groups of units.
struct Groups {
  std::vector<PruneGroup> groups;
  std::vector<std::vector<Element>> roots;  ///< per group and unit
  std::vector<FrozenAxis> frozen;
};
/// Units alike, in groups in the order of the nodes that compute them. Units that reach no weight
/// are left out.
Groups find_groups(const AxisSystem& system);

}  // namespace lapidary::prune
