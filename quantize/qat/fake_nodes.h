#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// A FakeQuantize node, read.
struct FakeNode {
  NodeId node;
  ValueId x, scale, zero_point;  ///< zero_point: none where it is 0
  ValueId output;
  int64_t axis = -1;
  int32_t qmin = 0, qmax = 255;
};
bool is_fake_quantize(const Graph& graph, NodeId node);
/// All of them, in graph order.
std::vector<FakeNode> fake_nodes(const Graph& graph);
/// The node that makes a value, where it is one.
std::optional<FakeNode> faked(const Graph& graph, ValueId value);

/// Imports Lapidary's operators where the graph has any, and not where it has none.
void settle_own_import(Graph& graph);

/// Its parameters as they would be stored; scales below the least count as the least. Throws
/// Error{kInvalid} where one is not a finite constant.
QuantParams params_of(const Graph& graph, const FakeNode& fake);

/// Adds FakeQuantize(x, scale, zero_point) before `before`; what it makes is called `output`.
ValueId add_fake_quantize(Graph& graph, ValueId x, ValueId scale, ValueId zero_point,
                          const QuantParams& params, const std::string& output, NodeId before);
/// Constants "<name>_scale" and, unless all are 0 and `symmetric`, "<name>_zero_point" of float32.
std::pair<ValueId, ValueId> fake_constants(Graph& graph, const std::string& name,
                                           const QuantParams& params, bool symmetric);

/// The FakeQuantize on the way from a trained constant to a weight: that of the value itself, or of
/// what it is divided from.
std::optional<FakeNode> weight_fake(const Graph& graph, ValueId weight);

}  // namespace lapidary
