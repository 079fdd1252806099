#include "src/exec/steps/fusions.h"

#include <algorithm>
#include <set>

#include "src/passes/edit.h"

namespace lapidary::exec {

std::vector<Fusion> find_fusions(const PlanBuilder& b) {
  std::vector<Fusion> found;
  std::set<NodeId> taken;
  for (const Region& region : find_regions(b.graph())) {
    std::optional<Fusion> fusion = attention_fusion(b, region);
    if (!fusion) fusion = normalization_fusion(b, region);
    if (!fusion) fusion = activation_fusion(b, region);
    if (!fusion) continue;
    // A node of constants alone is folded already.
    const auto is_taken = [&](NodeId id) {
      return taken.contains(id) || b.constant(b.output(id)) != nullptr;
    };
    if (std::any_of(fusion->nodes.begin(), fusion->nodes.end(), is_taken)) continue;
    taken.insert(fusion->nodes.begin(), fusion->nodes.end());
    found.push_back(std::move(*fusion));
  }
  return found;
}

QuantizedEnds quantized_ends(const PlanBuilder& b, const std::vector<NodeId>& nodes, ValueId x,
                             ValueId y) {
  const Graph& graph = b.graph();
  QuantizedEnds ends{.input = x, .output = y};
  const auto per_tensor = [&](NodeId id) { return b.attrs(id).get_int("block_size", 0) == 0; };
  if (const NodeId before = producer_of(graph, x, "DequantizeLinear")) {
    const auto params = byte_params(b, before, 1, b.dtype(b.input(before, 0)));
    const auto& uses = graph.value(x).uses;
    const bool inside = std::all_of(uses.begin(), uses.end(), [&](const Use& use) {
      return !use.capture && std::count(nodes.begin(), nodes.end(), use.node) > 0;
    });
    if (params && inside && !graph.is_output(x) && per_tensor(before)) {
      ends.dequantize = before;
      ends.input = b.input(before, 0);
      ends.x = *params;
    }
  }
  const NodeId behind = only_user(graph, y);
  if (behind && is_op(graph, behind, "QuantizeLinear") && b.input(behind, 0) == y) {
    const auto params = byte_params(b, behind, 1, b.dtype(b.output(behind)));
    if (params && per_tensor(behind)) {
      ends.quantize = behind;
      ends.output = b.output(behind);
      ends.y = *params;
    }
  }
  return ends;
}

std::vector<NodeId> with_ends(const std::vector<NodeId>& nodes, const QuantizedEnds& ends) {
  std::vector<NodeId> all = nodes;
  if (ends.dequantize) all.insert(all.begin(), ends.dequantize);
  if (ends.quantize) all.push_back(ends.quantize);
  return all;
}

}  // namespace lapidary::exec
