// g(f(x)) with f, g of Reshape, Flatten, Squeeze, Unsqueeze   =>   Reshape(x, shape of g's output)
// Order of elements is what all of them keep, so only the last shape counts. A Reshape that copies
// sizes from its input (0) or leaves one open (-1) keeps doing so where that means the same on x.
#include <algorithm>

#include "src/passes/edit.h"
#include "src/passes/pass.h"

namespace lapidary {

namespace {

bool reshapes(const Graph& graph, NodeId id) {
  for (std::string_view op : {"Reshape", "Flatten", "Squeeze", "Unsqueeze"})
    if (is_op(graph, id, op)) return true;
  return false;
}

// The shape of `y` as Reshape of `x` spells it: sizes, 0 for a symbol that x has at the same axis,
// one -1 for another that is not known.
std::optional<std::vector<int64_t>> spell(const Graph& graph, ValueId x, ValueId y) {
  const auto &from = graph.value(x).type.shape, &to = graph.value(y).type.shape;
  if (!to) return std::nullopt;
  std::vector<int64_t> sizes;
  bool open = false;
  for (size_t i = 0; i < to->size(); ++i) {
    const Dim& dim = (*to)[i];
    const bool copies = from && i < from->size() && !dim.symbol.empty() && (*from)[i] == dim;
    if (dim.known() && dim.value == 0) return std::nullopt;
    if (!dim.known() && !copies && std::exchange(open, true)) return std::nullopt;
    sizes.push_back(dim.known() ? dim.value : copies ? 0 : -1);
  }
  return sizes;
}

bool merge(Graph& graph, NodeId second) {
  if (!reshapes(graph, second) || graph.opset() < 5) return false;
  const ValueId between = graph.node(second).inputs[0];
  const NodeId first = graph.value(between).producer;
  if (!first || !reshapes(graph, first) || graph.value(between).quant) return false;
  const ValueId x = graph.node(first).inputs[0], y = output_of(graph, second);
  const auto sizes = spell(graph, x, y);
  if (!sizes) return false;
  const auto rank = static_cast<int64_t>(sizes->size());
  const ValueId target =
      add_constant(graph, graph.value(y).name + "_shape", Tensor::of<int64_t>({rank}, *sizes));
  Node node;
  node.op = "Reshape";
  node.name = graph.node(second).name;
  node.inputs = {x, target};
  node.outputs = {y};
  const std::vector<ValueId> freed = graph.node(second).inputs;
  const NodeId before = graph.next(second);
  graph.remove_node(second);
  graph.add_node(std::move(node), before);
  for (ValueId v : freed) drop_unused(graph, v);
  return true;
}

}  // namespace

PassResult merge_reshapes(Graph& graph, const PassOptions&) { return {rewrite(graph, merge), {}}; }

}  // namespace lapidary
