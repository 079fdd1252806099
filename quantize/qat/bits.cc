#include "quantize/qat/bits.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ir/patterns.h"

namespace lapidary {

namespace {

void check(int bits, const std::string& what) {
  if (bits < 2 || bits > 8) fail_usage("bits: {} for {}; there are 2 to 8", bits, what);
}

NodeSet layers_of(const Placement& placement) {
  NodeSet found;
  for (const LinearLayer& layer : placement.layers) found.insert(layer.node.index);
  return found;
}

/// Nodes that have a layer before them (or, from the outputs, behind them).
NodeSet reached(const Graph& graph, const NodeSet& layers, bool forward) {
  NodeSet found;
  auto nodes = graph.nodes();
  if (!forward) std::reverse(nodes.begin(), nodes.end());
  const auto counts = [&](NodeId id) {
    return id.valid() && (layers.contains(id.index) || found.contains(id.index));
  };
  for (const NodeId id : nodes) {
    bool any = false;
    if (forward) {
      for (const ValueId in : graph.node(id).inputs)
        any = any || (in.valid() && counts(graph.value(in).producer));
    } else {
      for (const ValueId out : graph.node(id).outputs)
        if (out.valid())
          for (const Use& use : graph.value(out).uses) any = any || counts(use.node);
    }
    if (any) found.insert(id.index);
  }
  return found;
}

}  // namespace

NodeSet layers_at_ends(const Graph& graph, const NodeSet& layers) {
  const NodeSet behind = reached(graph, layers, true), before = reached(graph, layers, false);
  NodeSet ends;
  for (const uint32_t layer : layers)
    if (!behind.contains(layer) || !before.contains(layer)) ends.insert(layer);
  return ends;
}

ChosenBits choose_bits(const Graph& graph, const Placement& placement, const QatBits& bits) {
  check(bits.weights, "weights");
  check(bits.activations, "activations");
  if (bits.first_last != 0) check(bits.first_last, "first_last");
  const NodeSet layers = layers_of(placement), ends = layers_at_ends(graph, layers);
  std::map<NodeId, int> named;
  for (const auto& [pattern, wanted] : bits.layers) {
    check(wanted, "'" + printable(pattern) + "'");
    bool any = false;
    for (const NodeId id : match_nodes(graph, pattern)) {
      if (!layers.contains(id.index)) continue;
      named[id] = wanted;
      any = true;
    }
    if (!any)
      fail_usage("bits: '{}' matches nodes, but no layer whose weights are quantized",
                 printable(pattern, 200));
  }
  ChosenBits chosen;
  const auto read = [&](ValueId input, int wanted) {
    if (!placement.is_quantized(input)) return;
    int& most = chosen.activations[placement.scales.root(input)];
    most = std::max(most, wanted);
  };
  for (const LinearLayer& layer : placement.layers) {
    const bool special = ends.contains(layer.node.index) && bits.first_last != 0;
    int weights = special ? bits.first_last : bits.weights;
    int activations = special ? bits.first_last : bits.activations;
    if (const auto at = named.find(layer.node); at != named.end())
      weights = activations = at->second;
    chosen.weights[layer.node] = weights;
    read(layer.input, activations);
  }
  for (const NodeId id : graph.nodes())  // products of activations
    if (placement.integer.contains(id.index) && !layers.contains(id.index) &&
        graph.node(id).is("MatMul"))
      for (const ValueId input : graph.node(id).inputs) read(input, bits.activations);
  return chosen;
}

}  // namespace lapidary
