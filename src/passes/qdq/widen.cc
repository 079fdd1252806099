#include "src/ops/quant.h"
#include "src/passes/edit.h"
#include "src/passes/qdq/prepare.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

/// The type of one byte with the same values; itself where it is no narrower.
DType byte_type(DType dtype) {
  if (dtype == DType::kI4 || dtype == DType::kI2) return DType::kI8;
  return dtype == DType::kU4 || dtype == DType::kU2 ? DType::kU8 : dtype;
}

/// A copy for this node: others may read it where it is no quantized constant.
void widen_input(Graph& graph, NodeId id, size_t slot) {
  const ValueId was = graph.node(id).inputs[slot];
  const Tensor& narrow = *graph.constant(was);
  Tensor wide = make_quantized(byte_type(narrow.dtype()), narrow.shape(), read_quantized(narrow));
  graph.set_input(id, slot, add_constant(graph, graph.value(was).name, std::move(wide)));
  drop_unused(graph, was);
}

}  // namespace

int64_t widen_constants(Graph& graph) {
  int64_t changes = 0;
  for (const NodeId id : graph.nodes()) {
    const auto dq = is_dequantize(graph, id) ? read_qdq(graph, id) : std::nullopt;
    const Tensor* codes = dq ? graph.constant(dq->data) : nullptr;
    if (codes == nullptr || byte_type(codes->dtype()) == codes->dtype()) continue;
    if (dq->zero_point && dq->zero_points == nullptr) continue;
    widen_input(graph, id, 0);
    if (dq->zero_point) widen_input(graph, id, 2);
    ++changes;
  }
  return changes;
}

}  // namespace lapidary
