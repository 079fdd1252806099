#include "src/exec/reference.h"

#include <unordered_map>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/exec/control_flow.h"
#include "src/ops/control_flow.h"
#include "src/ops/evaluate.h"

namespace lapidary::exec {

namespace {

/// Values of a body while it runs, each freed after its last reader.
class Values {
 public:
  explicit Values(const Graph& graph) : graph_(graph) {
    for (const ValueId id : graph.values()) {
      const Value& value = graph.value(id);
      if (value.constant) known_[id.index] = *value.constant;
      left_[id.index] = static_cast<int64_t>(graph.use_count(id));
    }
  }
  void set(ValueId id, Tensor tensor) {
    if (left_[id.index] != 0) known_[id.index] = std::move(tensor);
  }
  const Tensor& at(ValueId id) const {
    const auto found = known_.find(id.index);
    if (found == known_.end())
      fail_invalid("'{}' has no value", printable(graph_.value(id).name, 200));
    return found->second;
  }
  void read(ValueId id) {
    int64_t& left = left_[id.index];
    if (left > 0 && --left == 0) known_.erase(id.index);
  }

 private:
  const Graph& graph_;
  std::unordered_map<uint32_t, Tensor> known_;
  std::unordered_map<uint32_t, int64_t> left_;
};

void run_nodes(const Graph& graph, Values& values, LoopBudget& budget) {
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> inputs;
    for (const ValueId v : node.inputs) inputs.push_back(v ? &values.at(v) : nullptr);
    for (const Capture& capture : node.captures) inputs.push_back(&values.at(capture.outer));
    std::vector<Tensor> outputs = execute_node(graph, id, inputs, budget);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i]) values.set(node.outputs[i], std::move(outputs[i]));
    for (const ValueId v : node.inputs)
      if (v) values.read(v);
    for (const Capture& capture : node.captures) values.read(capture.outer);
  }
}

}  // namespace

std::vector<Tensor> run_body(const Graph& body, std::string_view attr, const Node& node,
                             std::span<const Tensor> inputs,
                             std::span<const Tensor* const> captured, LoopBudget& budget) {
  Values values(body);
  for (size_t i = 0; i < inputs.size(); ++i) values.set(body.inputs()[i], inputs[i]);
  for (size_t i = 0; i < node.captures.size(); ++i)
    if (node.captures[i].attr == attr) values.set(node.captures[i].inner, *captured[i]);
  run_nodes(body, values, budget);
  std::vector<Tensor> outputs;
  for (const ValueId v : body.outputs()) outputs.push_back(values.at(v));
  return outputs;
}

std::vector<Tensor> execute_node(const Graph& graph, NodeId id,
                                 std::span<const Tensor* const> inputs, LoopBudget& budget) {
  const Node& node = graph.node(id);
  if (is_control_flow(node))
    return with_context([&] { return node_label(graph, id); },
                        [&] { return run_control_flow(graph, id, inputs, budget); });
  return evaluate_node(graph, id, inputs.first(node.inputs.size()));
}

std::vector<Tensor> execute_node(const Graph& graph, NodeId id,
                                 std::span<const Tensor* const> inputs) {
  LoopBudget budget;
  return execute_node(graph, id, inputs, budget);
}

}  // namespace lapidary::exec
