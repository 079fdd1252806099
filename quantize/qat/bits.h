#pragma once

#include <map>

#include "lapidary/qat.h"
#include "quantize/placement.h"

namespace lapidary {

/// Bits of each integer layer's weights and of each group of activations (by its root).
struct ChosenBits {
  std::map<NodeId, int> weights;
  std::map<ValueId, int> activations;  ///< groups that layers read
  int of(ValueId root) const {
    const auto at = activations.find(root);
    return at == activations.end() ? 8 : at->second;
  }
};

/// Those of `layers` before or behind which there is no other.
NodeSet layers_at_ends(const Graph& graph, const NodeSet& layers);

/// Throws Error{kUsage} for bits outside 2..8 and for patterns that match nothing.
ChosenBits choose_bits(const Graph& graph, const Placement& placement, const QatBits& bits);

}  // namespace lapidary
