#include "src/passes/edit.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/base/half.h"

namespace lapidary {

NodeId only_user(const Graph& graph, ValueId value) {
  const Value& v = graph.value(value);
  if (v.uses.size() != 1 || v.uses[0].capture || graph.is_output(value)) return {};
  return v.uses[0].node;
}

size_t reader_count(const Graph& graph, ValueId value) { return graph.value(value).uses.size(); }

bool makes_graph_output(const Graph& graph, NodeId node) {
  const auto& outputs = graph.node(node).outputs;
  return std::any_of(outputs.begin(), outputs.end(),
                     [&](ValueId v) { return v && graph.is_output(v); });
}

NodeId producer_of(const Graph& graph, ValueId value, std::string_view op) {
  if (!value) return {};
  const NodeId made_by = graph.value(value).producer;
  return made_by && is_op(graph, made_by, op) ? made_by : NodeId{};
}

ValueId input_of(const Graph& graph, NodeId node, size_t slot) {
  const auto& inputs = graph.node(node).inputs;
  return slot < inputs.size() ? inputs[slot] : ValueId{};
}

ValueId output_of(const Graph& graph, NodeId node) { return graph.node(node).outputs.at(0); }

bool is_op(const Graph& graph, NodeId node, std::string_view op) {
  const Node& n = graph.node(node);
  return n.op == op && (n.domain.empty() || n.domain == "ai.onnx");
}

namespace {

template <class T>
T attr_or(const Graph& graph, NodeId node, std::string_view name, T otherwise) {
  const Attr* attr = graph.node(node).attr(name);
  const T* held = attr ? std::get_if<T>(attr) : nullptr;
  return held ? *held : otherwise;
}

}  // namespace

int64_t int_attr(const Graph& graph, NodeId node, std::string_view name, int64_t otherwise) {
  return attr_or<int64_t>(graph, node, name, otherwise);
}
float float_attr(const Graph& graph, NodeId node, std::string_view name, float otherwise) {
  return attr_or<float>(graph, node, name, otherwise);
}
std::string string_attr(const Graph& graph, NodeId node, std::string_view name,
                        std::string otherwise) {
  return attr_or<std::string>(graph, node, name, std::move(otherwise));
}
std::vector<int64_t> ints_attr(const Graph& graph, NodeId node, std::string_view name) {
  return attr_or<std::vector<int64_t>>(graph, node, name, {});
}

std::vector<int64_t> transposed_axes(const Graph& graph, NodeId transpose) {
  std::vector<int64_t> perm = ints_attr(graph, transpose, "perm");
  if (perm.empty())
    for (int64_t i = rank_of(graph, graph.node(transpose).inputs[0]); i > 0; --i)
      perm.push_back(i - 1);
  return perm;
}

std::optional<std::vector<int64_t>> constant_ints(const Graph& graph, ValueId value) {
  const Tensor* t = graph.constant(value);
  if (t == nullptr) return std::nullopt;
  if (t->dtype() == DType::kI64) {
    const auto d = t->data<int64_t>();
    return std::vector<int64_t>(d.begin(), d.end());
  }
  if (t->dtype() == DType::kI32) {
    const auto d = t->data<int32_t>();
    return std::vector<int64_t>(d.begin(), d.end());
  }
  return std::nullopt;
}

std::optional<std::vector<float>> constant_floats(const Graph& graph, ValueId value) {
  const Tensor* t = graph.constant(value);
  if (t == nullptr || !is_float(t->dtype())) return std::nullopt;
  std::vector<float> out;
  out.reserve(static_cast<size_t>(t->size()));
  switch (t->dtype()) {
    case DType::kF32:
      for (float x : t->data<float>()) out.push_back(x);
      break;
    case DType::kF64:
      for (double x : t->data<double>()) out.push_back(static_cast<float>(x));
      break;
    case DType::kF16:
      for (Half x : t->data<Half>()) out.push_back(from_half(x));
      break;
    default:
      for (BFloat16 x : t->data<BFloat16>()) out.push_back(from_bfloat16(x));
  }
  return out;
}

std::optional<float> constant_scalar(const Graph& graph, ValueId value) {
  const Tensor* t = graph.constant(value);
  if (t == nullptr || t->size() != 1) return std::nullopt;
  const auto all = constant_floats(graph, value);
  return all ? std::optional<float>((*all)[0]) : std::nullopt;
}

int64_t rank_of(const Graph& graph, ValueId value) {
  const auto& shape = graph.value(value).type.shape;
  return shape ? static_cast<int64_t>(shape->size()) : -1;
}

std::optional<Shape> static_shape(const Graph& graph, ValueId value) {
  const TensorType& type = graph.value(value).type;
  return type.is_static() ? std::optional<Shape>(type.static_shape()) : std::nullopt;
}

bool can_replace(const Graph& graph, ValueId from, ValueId to) {
  if (!from || !to || from == to) return false;
  const Value& old = graph.value(from);
  const Value& replacement = graph.value(to);
  if (old.quant && old.quant != replacement.quant) return false;
  if (!graph.is_output(from)) return true;
  return replacement.producer && !graph.is_input(to) && !graph.is_output(to);
}

void bypass(Graph& graph, NodeId node, ValueId to) {
  const ValueId from = output_of(graph, node);
  // The replacement knows at least as much of its type as the node's output did.
  if (graph.value(to).type.dtype == DType::kUndefined)
    graph.mutable_value(to).type = graph.value(from).type;
  graph.replace_uses(from, to);
  drop_node(graph, node);
}

void absorb(Graph& graph, NodeId node, ValueId to) {
  const std::string name = graph.value(output_of(graph, node)).name;
  bypass(graph, node, to);
  if (!graph.find_value(name)) graph.rename_value(to, name);
}

int64_t drop_unused(Graph& graph, ValueId value) {
  int64_t removed = 0;
  std::vector<ValueId> waiting{value};
  while (!waiting.empty()) {
    const ValueId v = waiting.back();
    waiting.pop_back();
    if (!v || !graph.alive(v) || graph.use_count(v) != 0 || graph.is_input(v)) continue;
    const NodeId made_by = graph.value(v).producer;
    if (!made_by) {
      graph.remove_value(v);
      continue;
    }
    const Node node = graph.node(made_by);
    const bool needed = std::any_of(node.outputs.begin(), node.outputs.end(),
                                    [&](ValueId out) { return out && graph.use_count(out) != 0; });
    if (needed) continue;
    graph.remove_node(made_by);
    ++removed;
    for (ValueId out : node.outputs)
      if (out && graph.alive(out)) graph.remove_value(out);
    waiting.insert(waiting.end(), node.inputs.begin(), node.inputs.end());
    for (const Capture& capture : node.captures) waiting.push_back(capture.outer);
  }
  return removed;
}

void drop_node(Graph& graph, NodeId node) {
  const Node copy = graph.node(node);
  graph.remove_node(node);
  for (ValueId out : copy.outputs)
    if (out && graph.use_count(out) == 0) graph.remove_value(out);
  for (ValueId in : copy.inputs) drop_unused(graph, in);
  for (const Capture& capture : copy.captures) drop_unused(graph, capture.outer);
}

ValueId add_constant(Graph& graph, std::string_view wanted, Tensor elements) {
  return graph.add_constant(graph.unique_name(wanted), std::move(elements));
}

WorkList::WorkList(const Graph& graph) {
  for (NodeId id : graph.nodes()) add(id);
}

void WorkList::add(NodeId node) {
  if (!node) return;
  if (node.index >= waiting_.size()) waiting_.resize(node.index + 1);
  if (waiting_[node.index]) return;
  waiting_[node.index] = true;
  queue_.push_back(node);
}

void WorkList::add_around(const Graph& graph, ValueId value) {
  if (!value || !graph.alive(value)) return;
  const Value& v = graph.value(value);
  if (v.producer) add(v.producer);
  for (const Use& use : v.uses) add(use.node);
}

NodeId WorkList::take() {
  if (at_ == queue_.size()) return {};
  const NodeId node = queue_[at_++];
  waiting_[node.index] = false;
  return node;
}

}  // namespace lapidary
