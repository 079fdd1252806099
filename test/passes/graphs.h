#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lapidary/graph.h"
#include "src/ir/builder.h"

namespace lapidary {

/// "Conv", "com.microsoft.QLinearAdd", ... in the order of the graph.
inline std::vector<std::string> op_list(const Graph& graph) {
  std::vector<std::string> ops;
  for (NodeId id : graph.nodes()) {
    const Node& n = graph.node(id);
    ops.push_back(n.domain.empty() ? n.op : n.domain + "." + n.op);
  }
  return ops;
}

/// The only node of that op.
inline NodeId find_node(const Graph& graph, const std::string& op) {
  NodeId found;
  for (NodeId id : graph.nodes())
    if (graph.node(id).op == op) {
      EXPECT_FALSE(found.valid()) << "two " << op;
      found = id;
    }
  EXPECT_TRUE(found.valid()) << "no " << op;
  return found;
}

/// Names of the node's inputs, "" where absent.
inline std::vector<std::string> input_names(const Graph& graph, NodeId node) {
  std::vector<std::string> names;
  for (ValueId v : graph.node(node).inputs) names.push_back(v ? graph.value(v).name : "");
  return names;
}

inline std::vector<int64_t> ints_of(const Graph& graph, const std::string& op,
                                    const std::string& attr) {
  const Attr* found = graph.node(find_node(graph, op)).attr(attr);
  return found ? std::get<std::vector<int64_t>>(*found) : std::vector<int64_t>{};
}

inline std::vector<std::string> output_names(const Graph& graph) {
  std::vector<std::string> names;
  for (ValueId v : graph.outputs()) names.push_back(graph.value(v).name);
  return names;
}

inline Graph empty_graph(int64_t opset) {
  Graph graph;
  graph.set_opset("", opset);
  return graph;
}

}  // namespace lapidary
