#include "quantize/int4.h"

#include <algorithm>

#include "lapidary/ops.h"
#include "src/ops/infer.h"
#include "src/ops/quant.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

constexpr int64_t kInt4Opset = 21;
constexpr int64_t kInt4Ir = 10;

/// An int8 constant that this node alone reads, all its elements within [low, high].
bool is_own_int8(const Graph& graph, ValueId value, int32_t low, int32_t high) {
  const Tensor* codes = value ? graph.constant(value) : nullptr;
  if (codes == nullptr || codes->dtype() != DType::kI8 || graph.use_count(value) != 1) return false;
  const std::vector<int32_t> elements = read_quantized(*codes);
  return std::ranges::all_of(elements, [&](int32_t q) { return q >= low && q <= high; });
}

void store_as_int4(Graph& graph, ValueId value) {
  Value& v = graph.mutable_value(value);
  v.constant = make_quantized(DType::kI4, v.constant->shape(), read_quantized(*v.constant));
  v.type.dtype = DType::kI4;
}

}  // namespace

int64_t store_int4_weights(Graph& graph) {
  const QuantRange range = quant_range(DType::kI4);
  int64_t stored = 0;
  for (const NodeId id : graph.nodes()) {
    const auto dq = is_dequantize(graph, id) ? read_qdq(graph, id) : std::nullopt;
    if (!dq || !is_own_int8(graph, dq->data, range.min, range.max) ||
        graph.constant(dq->data)->rank() < 2 || !is_own_int8(graph, dq->zero_point, 0, 0))
      continue;
    store_as_int4(graph, dq->data);
    store_as_int4(graph, dq->zero_point);
    ++stored;
  }
  if (stored == 0) return 0;
  if (graph.opset() < kInt4Opset) upgrade_opset(graph, kInt4Opset);
  graph.model.ir_version = std::max(graph.model.ir_version, kInt4Ir);
  infer_types(graph);
  return stored;
}

}  // namespace lapidary
