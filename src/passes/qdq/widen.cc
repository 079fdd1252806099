#include <cstring>

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

/// Narrow integers take one byte each in memory already.
Tensor widened(const Tensor& codes) {
  Tensor out(byte_type(codes.dtype()), codes.shape());
  std::memcpy(out.mutable_raw(), codes.raw(), static_cast<size_t>(codes.size()));
  return out;
}

/// A copy for this node: others may read it where it is no quantized constant.
void widen_input(Graph& graph, NodeId id, size_t slot) {
  const ValueId was = graph.node(id).inputs[slot];
  const Tensor wide = widened(*graph.constant(was));
  graph.set_input(id, slot, add_constant(graph, graph.value(was).name, wide));
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
