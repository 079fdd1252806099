#include "prune/prepare.h"

#include "lapidary/passes.h"
#include "src/ops/inline_functions.h"
#include "src/ops/input_constants.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"

namespace lapidary::prune {

namespace {

/// Says integers that an op of opset 13 on reads from input 1 (called after the node, with that
/// ending), and one before from an attribute.
void state(Graph& graph, NodeId id, const std::string& attr, const char* ending,
           const std::vector<int64_t>& values) {
  if (graph.opset() < 13)
    graph.set_attr(id, attr, values);
  else
    graph.set_input(id, 1,
                    add_constant(graph, node_key(graph, id) + ending,
                                 Tensor::of<int64_t>({std::ssize(values)}, values)));
}
bool is_stated(const Graph& graph, NodeId id, std::string_view attr) {
  return input_of(graph, id, 1).valid() || graph.node(id).attr(attr) != nullptr;
}

/// Equal parts would not stay equal.
void list_split_sizes(Graph& graph) {
  for (NodeId id : graph.nodes()) {
    if (!is_op(graph, id, "Split") || is_stated(graph, id, "split")) continue;
    const int64_t rank = rank_of(graph, graph.node(id).inputs[0]);
    if (rank < 1) continue;
    const auto axis = static_cast<size_t>(wrap_axis(int_attr(graph, id, "axis", 0), rank));
    std::vector<int64_t> sizes;
    for (ValueId out : graph.node(id).outputs) {
      const auto& shape = graph.value(out).type.shape;
      if (!shape || axis >= shape->size() || !(*shape)[axis].known()) break;
      sizes.push_back((*shape)[axis].value);
    }
    if (sizes.size() != graph.node(id).outputs.size()) continue;
    graph.erase_attr(id, "num_outputs");
    state(graph, id, "split", "_sizes", sizes);
  }
}

/// Squeeze without axes drops axes of one element, which a pruned one may become.
void list_squeezed_axes(Graph& graph) {
  for (NodeId id : graph.nodes()) {
    if (!is_op(graph, id, "Squeeze") || is_stated(graph, id, "axes")) continue;
    const auto shape = static_shape(graph, graph.node(id).inputs[0]);
    if (!shape) continue;
    std::vector<int64_t> axes;
    for (size_t a = 0; a < shape->size(); ++a)
      if ((*shape)[a] == 1) axes.push_back(static_cast<int64_t>(a));
    state(graph, id, "axes", "_axes", axes);
  }
}

/// Sizes of `from` where `to` does not know them; whether there were any.
bool learn(Graph& graph, ValueId to, size_t axis, const Dim& from) {
  auto& shape = graph.mutable_value(to).type.shape;
  if (!shape || axis >= shape->size() || (*shape)[axis].known() || !from.known()) return false;
  (*shape)[axis] = from;
  return true;
}

/// Concat's inputs agree but on its axis; MatMul's and Gemm's weights say how many elements are
/// summed over. Whether anything was learned.
bool learn_from_readers(Graph& graph) {
  bool learned = false;
  for (NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (is_op(graph, id, "Concat")) {
      const int64_t rank = rank_of(graph, node.outputs[0]);
      if (rank < 1) continue;
      const auto joined = static_cast<size_t>(wrap_axis(int_attr(graph, id, "axis", 0), rank));
      const std::vector<Dim> dims = *graph.value(node.outputs[0]).type.shape;
      for (ValueId in : node.inputs)
        for (size_t a = 0; a < dims.size(); ++a)
          if (a != joined) learned |= learn(graph, in, a, dims[a]);
    } else if (is_op(graph, id, "MatMul")) {
      const int64_t rank = rank_of(graph, node.inputs[0]);
      const auto weight = static_shape(graph, node.inputs[1]);
      if (rank < 1 || !weight || weight->empty()) continue;
      const size_t summed = weight->size() == 1 ? 0 : weight->size() - 2;
      learned |= learn(graph, node.inputs[0], static_cast<size_t>(rank - 1), (*weight)[summed]);
    }
  }
  return learned;
}

}  // namespace

InferredElements prepare(Graph& graph) {
  inline_functions(graph);
  unlist_constants(graph);
  infer_types(graph);
  list_split_sizes(graph);
  list_squeezed_axes(graph);
  for (int round = 0; round < 16 && learn_from_readers(graph); ++round) infer_types(graph);
  run_passes(graph, {"fold_shapes"}, {.train_safe = true});
  InferredElements known;
  infer_types(graph, {.elements = &known});
  return known;
}

}  // namespace lapidary::prune
