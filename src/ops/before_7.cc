#include "src/ops/before_7.h"

#include <numeric>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/rewrite.h"

namespace lapidary {

namespace {

int64_t rank_of(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (!value.type.shape)
    fail_unsupported("the rank of '{}' is not known, which decides how the inputs are aligned",
                     printable(value.name, 100));
  return static_cast<int64_t>(value.type.shape->size());
}

/// Input 1 gets axes of size 1 behind its own, so that its first lies at `axis` of input 0.
void unsqueeze_to(Graph& graph, NodeId id, int64_t axis) {
  const Node& node = graph.node(id);
  const int64_t rank = rank_of(graph, node.inputs[0]), own = rank_of(graph, node.inputs[1]);
  axis = InferContext::normalize_axis(axis, rank);
  if (axis + own > rank)
    fail_invalid("{} axes at axis {} of {}", own, axis, graph.value(node.inputs[0]).type.text());
  std::vector<int64_t> axes(static_cast<size_t>(rank - axis - own));
  if (axes.empty()) return;
  std::iota(axes.begin(), axes.end(), own);
  const ValueId aligned =
      Rewrite(graph, id).op("Unsqueeze", {node.inputs[1]}, {{"axes", std::move(axes)}});
  graph.set_input(id, 1, aligned);
}

}  // namespace

void align_second_input(Graph& graph, NodeId id) {
  const AttrView attrs(graph.node(id), 6);
  if (attrs.get_int("broadcast", 0) != 0 && attrs.has("axis"))
    unsqueeze_to(graph, id, attrs.get_int("axis", 0));
  graph.erase_attr(id, "axis");
  drop_old_attributes(graph, id);
}

void align_slope(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (rank_of(graph, node.inputs[1]) == 1 && rank_of(graph, node.inputs[0]) > 2)
    unsqueeze_to(graph, id, 1);
  drop_old_attributes(graph, id);
}

void drop_old_attributes(Graph& graph, NodeId id) {
  for (const char* name : {"broadcast", "is_test", "consumed_inputs"}) graph.erase_attr(id, name);
}

void keep_as_it_is(Graph&, NodeId) {}

}  // namespace lapidary
