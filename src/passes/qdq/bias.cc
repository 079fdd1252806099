// Float parameters of a Conv, ConvTranspose or Gemm between DQ and Q, as ONNX Runtime quantizes
// them:
//   bias_q[c] = rint(bias[c] / (sx * sw[c])) as int32, with sx * sw[c] and the quotient in float32
//   w_q = sat(rint(w / sw) + zw) as int8, sw = (max - min) / 255 with 0 in [min, max],
//         zw = rint(-128 - min / sw)
#include <algorithm>
#include <cmath>
#include <limits>

#include "src/passes/edit.h"
#include "src/passes/qdq/prepare.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

// The node's output runs into one QuantizeLinear, perhaps through Relu and Clip.
bool ends_quantized(const Graph& graph, NodeId node) {
  for (;;) {
    if (graph.node(node).outputs.size() != 1) return false;
    const ValueId out = output_of(graph, node);
    if (graph.is_output(out) || reader_count(graph, out) != 1 || graph.value(out).uses[0].capture)
      return false;
    node = graph.value(out).uses[0].node;
    if (is_quantize(graph, node)) return true;
    if (!is_op(graph, node, "Relu") && !is_op(graph, node, "Clip")) return false;
  }
}

int32_t to_int32(float rounded) {
  constexpr float kTop = 2147483648.0f;
  if (!(rounded >= -kTop)) return std::numeric_limits<int32_t>::min();
  return rounded >= kTop ? std::numeric_limits<int32_t>::max() : static_cast<int32_t>(rounded);
}

int64_t scale_axis(const Graph& graph, NodeId node) {
  if (!is_op(graph, node, "Gemm")) return 0;
  return int_attr(graph, node, "transB", 0) != 0 ? 0 : 1;
}

bool is_float_constant(const Graph& graph, ValueId value) {
  const Tensor* t = value ? graph.constant(value) : nullptr;
  return t && t->dtype() == DType::kF32;
}

ValueId add_dequantize(Graph& graph, ValueId real, std::vector<ValueId> inputs, bool per_channel,
                       NodeId before) {
  Node dq;
  dq.op = "DequantizeLinear";
  dq.inputs = std::move(inputs);
  if (per_channel) dq.attrs.emplace_back("axis", int64_t{0});
  const ValueId out =
      graph.add_value(graph.unique_name(graph.value(real).name + "_dq"), graph.value(real).type);
  dq.outputs = {out};
  graph.add_node(std::move(dq), before);
  return out;
}

void quantize_weight(Graph& graph, NodeId node) {
  const ValueId weight = graph.node(node).inputs[1];
  const auto values = graph.constant(weight)->data<float>();
  float low = 0, high = 0;
  for (float v : values) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  const float scale = high == low ? 1.0f : (high - low) / 255.0f;
  const float zero = std::rint(std::clamp(-128.0f - low / scale, -128.0f, 127.0f));
  Tensor codes(DType::kI8, graph.constant(weight)->shape());
  const auto q = codes.mutable_data<int8_t>();
  for (size_t i = 0; i < q.size(); ++i)
    q[i] = static_cast<int8_t>(std::clamp(std::rint(values[i] / scale) + zero, -128.0f, 127.0f));
  const std::string name = graph.value(weight).name;
  const ValueId integers = add_constant(graph, name + "_int8", std::move(codes));
  const ValueId s = add_constant(graph, name + "_scale", Tensor::scalar(scale));
  const ValueId z = add_constant(graph, name + "_zero", Tensor::scalar(static_cast<int8_t>(zero)));
  graph.set_input(node, 1, add_dequantize(graph, weight, {integers, s, z}, false, node));
  drop_unused(graph, weight);
}

void quantize_bias(Graph& graph, NodeId node, const QdqNode& x, const QdqNode& w) {
  const ValueId bias = graph.node(node).inputs[2];
  const Tensor &values = *graph.constant(bias), &ws = *w.scales;
  const bool per_channel = ws.size() > 1;
  Tensor scales(DType::kF32, ws.shape()), codes(DType::kI32, values.shape());
  const auto s = scales.mutable_data<float>();
  const auto q = codes.mutable_data<int32_t>();
  for (size_t c = 0; c < s.size(); ++c) s[c] = x.scale_value() * ws.data<float>()[c];
  for (size_t c = 0; c < q.size(); ++c)
    q[c] = to_int32(std::rint(values.data<float>()[c] / s[per_channel ? c : 0]));
  const std::string name = graph.value(bias).name;
  const ValueId integers = add_constant(graph, name + "_int32", std::move(codes));
  const ValueId scale = add_constant(graph, name + "_scale", std::move(scales));
  graph.set_input(node, 2, add_dequantize(graph, bias, {integers, scale}, per_channel, node));
  drop_unused(graph, bias);
}

// Scales that a bias can follow: one, or one per output channel.
bool gives_bias_scale(const Graph& graph, NodeId node, const QdqNode& w, int64_t channels) {
  if (!w.scales || w.scales->dtype() != DType::kF32) return false;
  if (w.one_scale(graph)) return true;
  return w.scales->rank() == 1 && w.scales->size() == channels && w.block_size == 0 &&
         wrap_axis(w.axis, rank_of(graph, w.data)) == scale_axis(graph, node);
}

bool quantize_parameters_of(Graph& graph, NodeId node) {
  const auto x = dequantized(graph, input_of(graph, node, 0));
  if (!x || !x->constant_scalar() || x->scales->dtype() != DType::kF32 ||
      !ends_quantized(graph, node))
    return false;
  const ValueId weight = input_of(graph, node, 1), bias = input_of(graph, node, 2);
  const bool float_weight = is_float_constant(graph, weight);
  const auto stored = dequantized(graph, weight);
  if (!float_weight && !stored) return false;
  if (bias) {
    // A bias that is no float vector (it may be dequantized already) leaves the node as it is,
    // unless both are: then nothing is to do either.
    if (!is_float_constant(graph, bias) || graph.constant(bias)->rank() != 1) return false;
    if (stored && !gives_bias_scale(graph, node, *stored, graph.constant(bias)->size()))
      return false;
  }
  if (!float_weight && !bias) return false;
  if (float_weight) quantize_weight(graph, node);
  if (bias) quantize_bias(graph, node, *x, *dequantized(graph, graph.node(node).inputs[1]));
  return true;
}

}  // namespace

int64_t quantize_parameters(Graph& graph) {
  int64_t changes = 0;
  for (NodeId id : graph.nodes())
    if (is_op(graph, id, "Conv") || is_op(graph, id, "ConvTranspose") || is_op(graph, id, "Gemm"))
      changes += quantize_parameters_of(graph, id);
  return changes;
}

}  // namespace lapidary
