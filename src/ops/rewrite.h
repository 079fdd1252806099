#pragma once

#include <string>
#include <vector>

#include "src/ir/builder.h"
#include "src/ops/elements.h"

namespace lapidary {

/// Puts nodes in the place of one: what upgrade rules are made of. New values are typed as far as
/// is obvious; the caller of the rules infers types afterwards.
class Rewrite {
 public:
  Rewrite(Graph& graph, NodeId replaced)
      : graph_(graph), replaced_(replaced), key_(node_key(graph, replaced)) {}

  ValueId constant(const std::string& suffix, Tensor elements) {
    return graph_.add_constant(graph_.unique_name(key_ + "_" + suffix), std::move(elements));
  }
  /// A node before the replaced one; its name and output are "<key>_<op>".
  ValueId op(const std::string& type, std::vector<ValueId> inputs, GraphBuilder::Attrs attrs = {}) {
    const std::string name = key_ + "_" + type;
    return GraphBuilder(graph_, replaced_).op(type, std::move(inputs), std::move(attrs), name);
  }
  /// The replaced node goes; `output`, which it made, is made by this node of the same name.
  void replace(const std::string& type, std::vector<ValueId> inputs, GraphBuilder::Attrs attrs,
               ValueId output) {
    Node node;
    node.op = type;
    node.name = graph_.node(replaced_).name;
    node.inputs = std::move(inputs);
    node.attrs = std::move(attrs);
    node.outputs = {output};
    const NodeId next = graph_.next(replaced_);
    graph_.remove_node(replaced_);
    graph_.add_node(std::move(node), next);
  }

 private:
  Graph& graph_;
  NodeId replaced_;
  std::string key_;
};

/// Attribute `name` (a list of integers) becomes input `slot`, an int64 constant; nothing where the
/// attribute is absent.
inline void attr_to_input(Graph& graph, NodeId id, const std::string& name, size_t slot) {
  if (graph.node(id).attr(name) == nullptr) return;
  const std::vector<int64_t> values = AttrView(graph.node(id), 1).get_ints(name);
  const Shape shape{static_cast<int64_t>(values.size())};
  graph.erase_attr(id, name);
  graph.set_input(id, slot, Rewrite(graph, id).constant(name, Tensor::of<int64_t>(shape, values)));
}

}  // namespace lapidary
