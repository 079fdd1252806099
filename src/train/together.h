#pragma once

#include <string>
#include <vector>

#include "lapidary/trainer.h"

namespace lapidary::train {

/// Nodes (node_key) that one autograd function computed in the trainer's last run: a list for each
/// such function, in the order in which they ran.
LAPIDARY_API std::vector<std::vector<std::string>> computed_together(const Trainer& trainer);

}  // namespace lapidary::train
