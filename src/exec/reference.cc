#include "src/exec/reference.h"

#include <unordered_map>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/evaluate.h"

namespace lapidary::exec {

namespace {

/// Values of a branch while it runs, each freed after its last reader.
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

void run_nodes(const Graph& graph, Values& values) {
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> inputs;
    for (const ValueId v : node.inputs) inputs.push_back(v ? &values.at(v) : nullptr);
    for (const Capture& capture : node.captures) inputs.push_back(&values.at(capture.outer));
    std::vector<Tensor> outputs = execute_node(graph, id, inputs);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i]) values.set(node.outputs[i], std::move(outputs[i]));
    for (const ValueId v : node.inputs)
      if (v) values.read(v);
    for (const Capture& capture : node.captures) values.read(capture.outer);
  }
}

bool condition(const Tensor& tensor) {
  if (tensor.dtype() != DType::kBool || tensor.size() != 1)
    fail_invalid("the condition is {}{}, expected one bool", dtype_name(tensor.dtype()),
                 shape_text(tensor.shape()));
  return tensor.data<bool>()[0];
}

std::vector<Tensor> run_branch(const Graph& outer, NodeId id,
                               std::span<const Tensor* const> inputs) {
  const Node& node = outer.node(id);
  if (inputs.empty() || inputs[0] == nullptr) fail_invalid("the condition is missing");
  const std::string_view branch = condition(*inputs[0]) ? "then_branch" : "else_branch";
  const Attr* attr = node.attr(branch);
  const auto* body = attr ? std::get_if<std::shared_ptr<const Graph>>(attr) : nullptr;
  if (body == nullptr) fail_invalid("there is no {}", branch);
  const Graph& graph = **body;
  Values values(graph);
  for (size_t i = 0; i < node.captures.size(); ++i)
    if (node.captures[i].attr == branch)
      values.set(node.captures[i].inner, *inputs[node.inputs.size() + i]);
  run_nodes(graph, values);
  if (graph.outputs().size() != node.outputs.size())
    fail_invalid("{} has {} outputs, the node {}", branch, graph.outputs().size(),
                 node.outputs.size());
  std::vector<Tensor> outputs;
  for (const ValueId v : graph.outputs()) outputs.push_back(values.at(v));
  return outputs;
}

}  // namespace

std::vector<Tensor> execute_node(const Graph& graph, NodeId id,
                                 std::span<const Tensor* const> inputs) {
  const Node& node = graph.node(id);
  if (node.is("If"))
    return with_context([&] { return node_label(graph, id); },
                        [&] { return run_branch(graph, id, inputs); });
  return evaluate_node(graph, id, inputs.first(node.inputs.size()));
}

}  // namespace lapidary::exec
