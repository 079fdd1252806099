#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lapidary/compress.h"
#include "lapidary/graph.h"
#include "quantize/targets.h"
#include "src/ir/patterns.h"

namespace lapidary {

/// A layer with constant weights: y = W x + b.
struct LinearLayer {
  NodeId node;
  std::string key;  ///< of the node
  ValueId input, weight;
  ValueId bias;             ///< none: the layer has no bias yet
  NodeId bias_node;         ///< the Add behind a MatMul that adds the bias, or none
  int64_t weight_axis = 0;  ///< the weight's axis of output channels
  ValueId output() const { return made; }
  ValueId made;  ///< what the node (or its bias_node) makes
};

/// Values that share one scale, by union-find.
class ScaleGroups {
 public:
  ValueId root(ValueId id) const;
  void join(ValueId a, ValueId b);
  /// Members by root; roots in order of their index.
  std::map<ValueId, std::vector<ValueId>> groups(const std::vector<ValueId>& ids) const;

 private:
  mutable std::unordered_map<uint32_t, uint32_t> parent_;
};

/// Where Q/DQ pairs go.
struct Placement {
  std::vector<ValueId> quantized;  ///< activations and activation constants, in graph order
  ScaleGroups scales;
  std::vector<LinearLayer> layers;  ///< integer layers, in graph order
  NodeSet integer;                  ///< nodes that will run on integers
  /// Clamps that go, and the value before each (its producer is the integer op).
  std::vector<std::pair<NodeId, ValueId>> absorbed;
  /// Values whose scale comes from another member of their group (they only moved).
  std::unordered_set<uint32_t> moved;
  std::vector<KeptFloat> kept_float;
  /// Only `layers` read rounded values; what else reads a quantized tensor gets its floats, so that
  /// errors do not add up along residual connections.
  bool layers_only = false;

  bool is_quantized(ValueId id) const { return marks.contains(id.index); }
  std::unordered_set<uint32_t> marks;  ///< of `quantized`
};

/// A constant of `n` values along the last axis that an Add adds to `product` alone, whose rank it
/// leaves as it is; its slot, or -1.
int bias_slot(const Graph& graph, NodeId add, ValueId product, int64_t n);

/// The node and slot that read a layer's bias: slot 2 of the layer, or of `bias_node` the one that
/// is not the layer's product.
std::pair<NodeId, size_t> bias_place(const Graph& graph, NodeId layer, NodeId bias_node);

/// Decides for a float graph (optimized, with types) and a target. Throws Error{kUsage} for skip
/// patterns that match nothing.
Placement place(const Graph& graph, const TargetRecord& target, const QuantizeOptions& options);

}  // namespace lapidary
