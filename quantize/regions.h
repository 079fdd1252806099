#pragma once

#include <string>
#include <unordered_map>

#include "lapidary/graph.h"

namespace lapidary {

/// Nodes of regions that Q/DQ never cut (LayerNorm, RMSNorm, softmax, GELU), by node index, with
/// what the region is called ("a LayerNorm").
std::unordered_map<uint32_t, std::string> float_regions(const Graph& graph);

}  // namespace lapidary
