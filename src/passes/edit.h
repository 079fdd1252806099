#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/graph.h"
#include "lapidary/passes.h"

namespace lapidary {

// What rewrites ask of a graph and do to it, beyond the graph's own mutators.

/// The only reader of a value: one node input, no capture, no graph output; none otherwise.
NodeId only_user(const Graph& graph, ValueId value);
/// Uses of a value as a node's input (captures count), the graph's outputs not counted.
size_t reader_count(const Graph& graph, ValueId value);
/// True where any output of the node is an output of the graph.
bool makes_graph_output(const Graph& graph, NodeId node);
/// The node that makes a value, where it is `op` of ai.onnx; none otherwise.
NodeId producer_of(const Graph& graph, ValueId value, std::string_view op);
/// Input `slot` or none where the list is shorter.
ValueId input_of(const Graph& graph, NodeId node, size_t slot);
/// The node's first output.
ValueId output_of(const Graph& graph, NodeId node);

/// True for an ai.onnx node of that op.
bool is_op(const Graph& graph, NodeId node, std::string_view op);
int64_t int_attr(const Graph& graph, NodeId node, std::string_view name, int64_t otherwise);
float float_attr(const Graph& graph, NodeId node, std::string_view name, float otherwise);
std::string string_attr(const Graph& graph, NodeId node, std::string_view name,
                        std::string otherwise);
std::vector<int64_t> ints_attr(const Graph& graph, NodeId node, std::string_view name);
/// A Transpose's `perm`; where it is absent the reversed axes, empty where their number is unknown.
std::vector<int64_t> transposed_axes(const Graph& graph, NodeId transpose);

/// The elements of a constant int32 or int64 tensor.
std::optional<std::vector<int64_t>> constant_ints(const Graph& graph, ValueId value);
/// The elements of a constant float, half, bfloat16 or double tensor as float.
std::optional<std::vector<float>> constant_floats(const Graph& graph, ValueId value);
/// The single element of a constant floating tensor of any rank.
std::optional<float> constant_scalar(const Graph& graph, ValueId value);
/// Rank where it is known, else -1.
int64_t rank_of(const Graph& graph, ValueId value);
/// The known sizes of all axes.
std::optional<Shape> static_shape(const Graph& graph, ValueId value);

/// An axis in [-rank, rank) made non-negative.
inline int64_t wrap_axis(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// True where `replace_uses(from, to)` needs no new node and loses nothing.
bool can_replace(const Graph& graph, ValueId from, ValueId to);
/// Every use of the node's only output becomes a use of `to`; the node goes, and what only it used.
void bypass(Graph& graph, NodeId node, ValueId to);
/// As `bypass`, for a node that was folded into the maker of `to`: `to` now holds what the node's
/// output held, and takes its name, so that a name means the same values before and after.
void absorb(Graph& graph, NodeId node, ValueId to);
/// Removes the value where nobody needs it, with the node that makes it and what only that node
/// used. Returns the number of nodes removed.
int64_t drop_unused(Graph& graph, ValueId value);
/// Removes the node with its outputs (which nobody may use) and what only it used.
void drop_node(Graph& graph, NodeId node);
/// A constant called after `wanted`.
ValueId add_constant(Graph& graph, std::string_view wanted, Tensor elements);

/// Offers every node to `rule(graph, node)`, and again those around a change, until nothing
/// changes. The rule returns whether it changed the graph; it may remove any node.
template <class Rule>
int64_t rewrite(Graph& graph, Rule&& rule);

/// Nodes that wait to be offered, first in, first out, each at most once.
class WorkList {
 public:
  explicit WorkList(const Graph& graph);
  void add(NodeId node);
  /// Maker and readers of a value.
  void add_around(const Graph& graph, ValueId value);
  NodeId take();

 private:
  std::vector<NodeId> queue_;
  size_t at_ = 0;
  std::vector<bool> waiting_;
};

template <class Rule>
int64_t rewrite(Graph& graph, Rule&& rule) {
  WorkList work(graph);
  int64_t changes = 0;
  for (NodeId id = work.take(); id; id = work.take()) {
    if (!graph.alive(id)) continue;
    std::vector<ValueId> around = graph.node(id).inputs;
    around.insert(around.end(), graph.node(id).outputs.begin(), graph.node(id).outputs.end());
    if (!rule(graph, id)) continue;
    ++changes;
    work.add(id);
    for (ValueId value : around) work.add_around(graph, value);
  }
  return changes;
}

}  // namespace lapidary
