#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// Builds graphs in code: tests, losses, rewrites. Names are made unique where they are taken.
class GraphBuilder {
 public:
  using Attrs = std::vector<std::pair<std::string, Attr>>;

  /// Appends to `graph`, or inserts before `before`.
  explicit GraphBuilder(Graph& graph, NodeId before = {}) : graph_(graph), before_(before) {}

  ValueId input(const std::string& name, DType dtype, std::vector<Dim> shape) {
    const ValueId id = graph_.add_value(name, {dtype, std::move(shape)});
    auto inputs = graph_.inputs();
    inputs.push_back(id);
    graph_.set_inputs(std::move(inputs));
    return id;
  }
  ValueId constant(const std::string& name, Tensor elements) {
    return graph_.add_constant(graph_.unique_name(name), std::move(elements));
  }
  /// A node with one output; the output is called `name` (or after the op), the node likewise.
  ValueId op(const std::string& type, std::vector<ValueId> inputs, Attrs attrs = {},
             const std::string& name = {}, const std::string& domain = {}) {
    return ops(type, 1, std::move(inputs), std::move(attrs), name, domain)[0];
  }
  /// A node with `count` outputs.
  std::vector<ValueId> ops(const std::string& type, size_t count, std::vector<ValueId> inputs,
                           Attrs attrs = {}, const std::string& name = {},
                           const std::string& domain = {}) {
    Node node;
    node.op = type;
    node.domain = domain;
    node.name = name;
    node.inputs = std::move(inputs);
    node.attrs = std::move(attrs);
    for (size_t i = 0; i < count; ++i)
      node.outputs.push_back(
          graph_.add_value(graph_.unique_name(name.empty() ? type + "_out" : name)));
    std::vector<ValueId> out = node.outputs;
    graph_.add_node(std::move(node), before_);
    return out;
  }
  void output(ValueId id) {
    auto outputs = graph_.outputs();
    outputs.push_back(id);
    graph_.set_outputs(std::move(outputs));
  }

 private:
  Graph& graph_;
  NodeId before_;
};

}  // namespace lapidary
