#include "quantize/int4.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "lapidary/ops.h"
#include "src/ops/infer.h"
#include "src/passes/edit.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

constexpr int64_t kInt4Opset = 21;
constexpr int64_t kInt4Ir = 10;

bool fits(const Tensor& codes) {
  const auto values = codes.data<int8_t>();
  return std::all_of(values.begin(), values.end(), [](int8_t v) { return v >= -8 && v <= 7; });
}

bool all_zero(const Tensor& codes) {
  const auto values = codes.data<int8_t>();
  return std::all_of(values.begin(), values.end(), [](int8_t v) { return v == 0; });
}

/// One byte per element in memory, whatever the type is on disk.
Tensor as_int4(const Tensor& codes) {
  Tensor out(DType::kI4, codes.shape());
  std::memcpy(out.mutable_raw(), codes.raw(), static_cast<size_t>(codes.size()));
  return out;
}

bool is_narrow_weight(const Graph& graph, const QdqNode& dq) {
  const Tensor* codes = graph.constant(dq.data);
  const auto read_as_weight = [&](const Use& use) {
    return !use.capture && is_dequantize(graph, use.node) && use.slot == 0;
  };
  const auto& uses = graph.value(dq.data).uses;
  return codes != nullptr && codes->dtype() == DType::kI8 && codes->rank() > 1 && fits(*codes) &&
         dq.zero_points != nullptr && dq.zero_points->dtype() == DType::kI8 &&
         all_zero(*dq.zero_points) && std::all_of(uses.begin(), uses.end(), read_as_weight);
}

/// The zero point `value` that only node `id` reads: itself, or a copy.
ValueId own_constant(Graph& graph, NodeId id, ValueId value) {
  if (graph.value(value).uses.size() == 1) return value;
  const ValueId copy = add_constant(graph, graph.value(value).name, *graph.constant(value));
  graph.set_input(id, 2, copy);
  return copy;
}

}  // namespace

int64_t store_int4_weights(Graph& graph) {
  std::set<ValueId> stored;
  for (const NodeId id : graph.nodes()) {
    if (!is_dequantize(graph, id)) continue;
    const auto dq = read_qdq(graph, id);
    if (!dq || (!stored.contains(dq->data) && !is_narrow_weight(graph, *dq))) continue;
    if (stored.insert(dq->data).second)
      graph.mutable_value(dq->data).constant = as_int4(*graph.constant(dq->data));
    graph.mutable_value(dq->data).type.dtype = DType::kI4;
    const ValueId zero = own_constant(graph, id, dq->zero_point);
    graph.mutable_value(zero).constant = as_int4(*graph.constant(zero));
    graph.mutable_value(zero).type.dtype = DType::kI4;
  }
  if (stored.empty()) return 0;
  if (graph.opset() < kInt4Opset) upgrade_opset(graph, kInt4Opset);
  graph.model.ir_version = std::max(graph.model.ir_version, kInt4Ir);
  infer_types(graph);
  return static_cast<int64_t>(stored.size());
}

}  // namespace lapidary
