#include "src/passes/regions.h"

#include <algorithm>

#include "src/passes/regions/match.h"

namespace lapidary {

std::string_view region_name(RegionKind kind) {
  switch (kind) {
    case RegionKind::kLayerNorm:
      return "LayerNorm";
    case RegionKind::kRmsNorm:
      return "RMSNorm";
    case RegionKind::kGelu:
      return "GELU";
    case RegionKind::kTanhGelu:
      return "tanh GELU";
    case RegionKind::kSilu:
      return "SiLU";
    case RegionKind::kHardSwish:
      return "HardSwish";
    case RegionKind::kMish:
      return "Mish";
    case RegionKind::kSoftmax:
      return "softmax";
    case RegionKind::kAttentionSoftmax:
      return "attention softmax";
  }
  return "";
}

bool is_uncuttable(RegionKind kind) {
  return kind != RegionKind::kSilu && kind != RegionKind::kHardSwish && kind != RegionKind::kMish;
}

std::vector<size_t> node_ranks(const Graph& graph) {
  std::vector<size_t> rank;
  size_t at = 0;
  for (NodeId id : graph.nodes()) {
    if (id.index >= rank.size()) rank.resize(id.index + 1);
    rank[id.index] = at++;
  }
  return rank;
}

bool is_closed(const Graph& graph, const std::vector<NodeId>& nodes, ValueId output) {
  for (NodeId id : nodes)
    for (ValueId out : graph.node(id).outputs) {
      if (!out || out == output) continue;
      if (graph.is_output(out)) return false;
      for (const Use& use : graph.value(out).uses)
        if (use.capture || std::count(nodes.begin(), nodes.end(), use.node) == 0) return false;
    }
  return true;
}

bool take_region(const Graph& graph, Region region, std::set<NodeId>& taken,
                 std::vector<Region>& regions) {
  const auto is_taken = [&](NodeId id) { return taken.contains(id); };
  if (std::any_of(region.nodes.begin(), region.nodes.end(), is_taken) ||
      !is_closed(graph, region.nodes, region.output))
    return false;
  taken.insert(region.nodes.begin(), region.nodes.end());
  regions.push_back(std::move(region));
  return true;
}

std::vector<Region> find_regions(const Graph& graph) {
  std::set<NodeId> taken;
  std::vector<Region> regions;
  find_normalizations(graph, taken, regions);
  find_activations(graph, taken, regions);
  find_softmaxes(graph, taken, regions);
  const std::vector<size_t> rank = node_ranks(graph);
  for (Region& region : regions) {
    const auto earlier = [&](NodeId a, NodeId b) { return rank[a.index] < rank[b.index]; };
    std::sort(region.nodes.begin(), region.nodes.end(), earlier);
    region.nodes.erase(std::unique(region.nodes.begin(), region.nodes.end()), region.nodes.end());
  }
  std::sort(regions.begin(), regions.end(), [&](const Region& a, const Region& b) {
    return rank[a.nodes.front().index] < rank[b.nodes.front().index];
  });
  return regions;
}

}  // namespace lapidary
