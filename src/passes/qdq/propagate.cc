// DQ -> mover -> f        =>   DQ -> mover -> Q -> DQ -> f
// f -> mover -> Q         =>   f -> Q -> DQ -> mover -> Q
// for movers whose output elements are input elements, so that Q(DQ(i)) = i leaves every value as
// it is.
#include <algorithm>

#include "src/passes/edit.h"
#include "src/passes/qdq/prepare.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

bool carries(const Graph& graph, NodeId node) {
  for (std::string_view op : {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice"})
    if (is_op(graph, node, op)) return true;
  return is_op(graph, node, "MaxPool") && graph.opset() >= 12 &&
         graph.node(node).outputs.size() == 1;
}

bool order_kept(const Graph& graph, NodeId node, const QdqNode& params) {
  return !is_op(graph, node, "MaxPool") ||
         (params.scales->dtype() == DType::kF32 && params.scale_value() > 0);
}

// value -> Q -> DQ with the parameters of `like`; returns DQ's output. The pair stands before
// `before`.
ValueId add_pair(Graph& graph, ValueId value, const QdqNode& like, NodeId before) {
  const Value copy = graph.value(value);
  const Node source = graph.node(like.node);
  TensorType integers = copy.type;
  integers.dtype = like.storage;
  Node q, dq;
  q.domain = dq.domain = source.domain;
  q.op = "QuantizeLinear";
  dq.op = "DequantizeLinear";
  const ValueId quantized = graph.add_value(graph.unique_name(copy.name + "_q"), integers);
  const ValueId real = graph.add_value(graph.unique_name(copy.name + "_dq"), copy.type);
  q.inputs = {value, like.scale};
  dq.inputs = {quantized, like.scale};
  if (like.zero_point) {
    q.inputs.push_back(like.zero_point);
    dq.inputs.push_back(like.zero_point);
  }
  q.outputs = {quantized};
  dq.outputs = {real};
  graph.add_node(std::move(q), before);
  graph.add_node(std::move(dq), before);
  return real;
}

// Moves one DQ over the movers that read it; the new DQs are appended to `work`.
int64_t forward(Graph& graph, const QdqNode& dq, std::vector<NodeId>& work) {
  int64_t changes = 0;
  const std::vector<Use> readers = graph.value(dq.output).uses;
  for (const Use& reader : readers) {
    if (reader.capture || reader.slot != 0 || !carries(graph, reader.node) ||
        !order_kept(graph, reader.node, dq))
      continue;
    const ValueId moved = output_of(graph, reader.node);
    if (graph.is_output(moved)) continue;
    std::vector<Use> uses = graph.value(moved).uses;
    std::erase_if(uses, [&](const Use& use) {
      return use.capture || (use.slot == 0 && is_quantize(graph, use.node));
    });
    if (uses.empty()) continue;
    const ValueId real = add_pair(graph, moved, dq, graph.next(reader.node));
    for (const Use& use : uses) graph.set_input(use.node, use.slot, real);
    work.push_back(graph.value(real).producer);
    ++changes;
  }
  return changes;
}

int64_t backward(Graph& graph, const QdqNode& q) {
  int64_t changes = 0;
  ValueId at = q.data;
  NodeId reader = q.node;
  for (;;) {
    const NodeId mover = graph.value(at).producer;
    if (!mover || only_user(graph, at) != reader || !carries(graph, mover) ||
        !order_kept(graph, mover, q))
      return changes;
    const ValueId source = graph.node(mover).inputs[0];
    const NodeId made_by = graph.value(source).producer;
    if (!made_by || is_dequantize(graph, made_by) || only_user(graph, source) != mover)
      return changes;
    graph.set_input(mover, 0, add_pair(graph, source, q, mover));
    ++changes;
    at = source;
    reader = graph.value(source).uses[0].node;
  }
}

bool movable(const std::optional<QdqNode>& qdq) { return qdq && qdq->constant_scalar(); }

}  // namespace

int64_t propagate_pairs(Graph& graph) {
  int64_t changes = 0;
  std::vector<NodeId> work;
  for (NodeId id : graph.nodes())
    if (is_dequantize(graph, id)) work.push_back(id);
  for (size_t i = 0; i < work.size(); ++i)
    if (const auto dq = read_qdq(graph, work[i]); movable(dq)) changes += forward(graph, *dq, work);
  for (NodeId id : graph.nodes())
    if (const auto q = read_qdq(graph, id); movable(q) && !q->dequantizes)
      changes += backward(graph, *q);
  return changes;
}

}  // namespace lapidary
