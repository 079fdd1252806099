#pragma once

#include <set>
#include <vector>

#include "src/passes/edit.h"
#include "src/passes/regions.h"

namespace lapidary {

/// Each appends what it finds among nodes that are not `taken`, and takes them.
void find_normalizations(const Graph& graph, std::set<NodeId>& taken, std::vector<Region>& regions);
void find_activations(const Graph& graph, std::set<NodeId>& taken, std::vector<Region>& regions);
void find_softmaxes(const Graph& graph, std::set<NodeId>& taken, std::vector<Region>& regions);

/// Each live node's place in the graph's order, by NodeId::index.
std::vector<size_t> node_ranks(const Graph& graph);

/// No value inside is read outside: every output of every node but the last is read by the nodes
/// alone.
bool is_closed(const Graph& graph, const std::vector<NodeId>& nodes, ValueId output);
/// Adds the region where it is closed and free; its nodes in any order.
bool take_region(const Graph& graph, Region region, std::set<NodeId>& taken,
                 std::vector<Region>& regions);

/// The operand of a two-input node that is not `one`; none where `one` is no operand.
inline ValueId other_operand(const Graph& graph, NodeId node, ValueId one) {
  const auto& in = graph.node(node).inputs;
  if (in.size() != 2) return {};
  return in[0] == one ? in[1] : in[1] == one ? in[0] : ValueId{};
}

/// Axes of a reduction that keeps them (attribute or input), non-negative where the rank is known.
std::optional<std::vector<int64_t>> kept_axes(const Graph& graph, NodeId reduction);

}  // namespace lapidary
