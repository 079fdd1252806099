#include "quantize/regions.h"

#include "src/passes/regions.h"

namespace lapidary {

std::unordered_map<uint32_t, std::string> float_regions(const Graph& graph) {
  std::unordered_map<uint32_t, std::string> out;
  for (const Region& region : find_regions(graph)) {
    if (!is_uncuttable(region.kind)) continue;
    for (const NodeId id : region.nodes) out.emplace(id.index, region_name(region.kind));
  }
  return out;
}

}  // namespace lapidary
