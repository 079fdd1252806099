#include <algorithm>
#include <cmath>

#include "src/base/fail.h"
#include "src/ops/evaluate.h"
#include "src/passes/edit.h"
#include "src/passes/qdq/prepare.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

int64_t fold_quantized_constants(Graph& graph) {
  int64_t changes = 0;
  for (NodeId id : graph.nodes()) {
    if (!is_quantize(graph, id)) continue;
    std::vector<const Tensor*> inputs;
    for (ValueId in : graph.node(id).inputs) inputs.push_back(graph.constant(in));
    if (inputs.empty() || std::count(inputs.begin(), inputs.end(), nullptr) > 0) continue;
    std::vector<Tensor> made = evaluate_node(graph, id, inputs);
    const ValueId out = output_of(graph, id);
    if (graph.is_output(out)) continue;
    graph.replace_uses(out, add_constant(graph, graph.value(out).name, std::move(made.at(0))));
    drop_node(graph, id);
    ++changes;
  }
  return changes;
}

namespace {

struct Params {
  float scale;
  int32_t zero;
};

// The range [low, high] that is inside both quantizations' ranges, as scale and zero point of the
// same type: scale = (high - low) / (qmax - qmin), zero = round(qmin - low / scale).
Params intersect(const QdqNode& a, const QdqNode& b, IntRange range) {
  const auto low = [&](const QdqNode& q) {
    return static_cast<float>(range.low - q.zero_value()) * q.scale_value();
  };
  const auto high = [&](const QdqNode& q) {
    return static_cast<float>(range.high - q.zero_value()) * q.scale_value();
  };
  const float lowest = std::max(low(a), low(b)), highest = std::min(high(a), high(b));
  const float scale = (highest - lowest) / static_cast<float>(range.high - range.low);
  return {scale, static_cast<int32_t>(std::round(static_cast<float>(range.low) - lowest / scale))};
}

Tensor zero_point_tensor(DType dtype, int32_t value) {
  return dtype == DType::kU8 ? Tensor::scalar(static_cast<uint8_t>(value))
                             : Tensor::scalar(static_cast<int8_t>(value));
}

// The one QuantizeLinear or DequantizeLinear that reads a value, which is no graph output.
std::optional<QdqNode> sole_reader(const Graph& graph, ValueId value) {
  const NodeId user = only_user(graph, value);
  return user ? read_qdq(graph, user) : std::nullopt;
}

bool merge_at(Graph& graph, const QdqNode& dq1) {
  const NodeId q1_node = graph.value(dq1.data).producer;
  if (!is_quantize(graph, q1_node) || only_user(graph, dq1.data) != dq1.node) return false;
  const auto q1 = read_qdq(graph, q1_node);
  const auto q2 = sole_reader(graph, dq1.output);
  if (!q1 || !q2 || q2->dequantizes) return false;
  const auto dq2 = sole_reader(graph, q2->output);
  if (!dq2 || !dq2->dequantizes || !same_params(*q1, dq1) || !same_params(*q2, *dq2)) return false;
  if (q1->storage != q2->storage || q1->scales->dtype() != DType::kF32 ||
      q2->scales->dtype() != DType::kF32 ||
      (q1->storage != DType::kU8 && q1->storage != DType::kI8))
    return false;
  const Params before{q1->scale_value(), q1->zero_value()};
  if (before.scale != q2->scale_value() || before.zero != q2->zero_value()) {
    const Params both = intersect(*q1, *q2, *storage_range(q1->storage));
    const std::string name = graph.value(q1->scale).name;
    const ValueId scale = add_constant(graph, name + "_merged", Tensor::scalar(both.scale));
    const ValueId zero = add_constant(graph, graph.value(q1->zero_point).name + "_merged",
                                      zero_point_tensor(q1->storage, both.zero));
    for (NodeId node : {q1->node, dq2->node}) {
      const ValueId old_scale = input_of(graph, node, 1), old_zero = input_of(graph, node, 2);
      graph.set_input(node, 1, scale);
      graph.set_input(node, 2, zero);
      drop_unused(graph, old_scale);
      drop_unused(graph, old_zero);
    }
  }
  graph.set_input(dq2->node, 0, q1->output);
  drop_unused(graph, q2->output);
  return true;
}

}  // namespace

int64_t merge_double_pairs(Graph& graph) {
  int64_t changes = 0;
  for (NodeId id : graph.nodes())
    if (graph.alive(id) && is_dequantize(graph, id))
      if (const auto dq = read_qdq(graph, id)) changes += merge_at(graph, *dq);
  return changes;
}

int64_t drop_inverse_pairs(Graph& graph) {
  int64_t changes = 0;
  for (NodeId id : graph.nodes()) {
    if (!graph.alive(id) || !is_quantize(graph, id)) continue;
    const auto q = read_qdq(graph, id);
    const auto dq = q ? dequantized(graph, q->data) : std::nullopt;
    if (!dq || !same_params(*q, *dq) || !can_replace(graph, q->output, dq->data)) continue;
    bypass(graph, id, dq->data);
    ++changes;
  }
  return changes;
}

int64_t drop_redundant_clamps(Graph& graph, std::vector<LoweringNote>& notes) {
  int64_t changes = 0;
  for (NodeId id : graph.nodes()) {
    if (!graph.alive(id) || !is_quantize(graph, id)) continue;
    for (;;) {
      const auto q = read_qdq(graph, id);
      const NodeId clamp = q ? graph.value(q->data).producer : NodeId{};
      if (!clamp || only_user(graph, q->data) != id || !clamp_is_redundant(graph, clamp, *q)) break;
      notes.push_back({node_key(graph, clamp), graph.node(clamp).op, "QuantizeLinear",
                       "the saturation of '" + node_key(graph, id) + "' clamps as it does"});
      bypass(graph, clamp, graph.node(clamp).inputs[0]);
      ++changes;
    }
  }
  return changes;
}

}  // namespace lapidary
