#include <algorithm>

#include "calibrate/layer_weights.h"
#include "lapidary/sparsify.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

template <class T>
int64_t count_of(const Tensor& t, T zero) {
  const auto data = t.data<T>();
  return std::count(data.begin(), data.end(), zero);
}

/// The zero point of an integer operator's weights or of the DequantizeLinear behind which they
/// lie, where that is one number; 0 where there is none.
int64_t zero_point_of(const Graph& graph, const LayerWeights& layer) {
  const NodeId reader = layer.readers[0];
  const ResolvedOp op = resolve_op(graph, reader);
  const ValueId weight = input_of(graph, reader, static_cast<size_t>(op.def->weight.input));
  const NodeId producer = graph.value(weight).producer;
  ValueId zero;
  if (producer.valid() && graph.node(producer).is("DequantizeLinear"))
    zero = input_of(graph, producer, 2);
  else if (op.def->weight.input == 3)  // QLinearConv, QLinearMatMul: w, its scale, its zero point
    zero = input_of(graph, reader, 5);
  const Tensor* t = zero.valid() ? graph.constant(zero) : nullptr;
  if (t == nullptr || t->size() < 1) return 0;
  if (t->dtype() == DType::kU8) return t->data<uint8_t>()[0];
  return t->dtype() == DType::kI8 ? t->data<int8_t>()[0] : 0;
}

/// -1: not of a type that is counted.
int64_t zeros_of(const Graph& graph, const LayerWeights& layer) {
  const Tensor& t = *graph.constant(layer.constant);
  if (t.dtype() == DType::kF32) return count_of(t, 0.0f);
  if (t.dtype() == DType::kF16 || t.dtype() == DType::kBF16) {
    const auto* bits = static_cast<const uint16_t*>(t.raw());
    return std::count_if(bits, bits + t.size(), [](uint16_t b) { return (b & 0x7FFF) == 0; });
  }
  const int64_t zero = zero_point_of(graph, layer);
  if (t.dtype() == DType::kI8 || t.dtype() == DType::kI4)
    return count_of(t, static_cast<int8_t>(zero));
  if (t.dtype() == DType::kU8 || t.dtype() == DType::kU4)
    return count_of(t, static_cast<uint8_t>(zero));
  return -1;
}

}  // namespace

Masks masks_of(const Graph& graph, double least) {
  Masks out;
  for (const LayerWeights& layer : layer_weights(graph)) {
    const Tensor& weights = *graph.constant(layer.constant);
    if (weights.dtype() != DType::kF32) continue;
    const int64_t zeros = count_of(weights, 0.0f);
    if (zeros == 0 || static_cast<double>(zeros) < least * static_cast<double>(weights.size()))
      continue;
    Tensor mask(DType::kU8, weights.shape());
    std::ranges::transform(weights.data<float>(), mask.mutable_data<uint8_t>().begin(),
                           [](float w) { return static_cast<uint8_t>(w != 0); });
    out[graph.value(layer.constant).name] = std::move(mask);
  }
  return out;
}

Sparsity measure_sparsity(const Graph& graph) {
  Sparsity out;
  for (const LayerWeights& layer : layer_weights(graph)) {
    const int64_t zeros = zeros_of(graph, layer);
    if (zeros < 0) continue;
    out.tensors.push_back({graph.value(layer.constant).name, node_key(graph, layer.readers[0]),
                           graph.constant(layer.constant)->size(), zeros});
    out.elements += out.tensors.back().elements;
    out.zeros += zeros;
  }
  return out;
}

}  // namespace lapidary
