// bias_q[c] = rint(bias[c] / (sx * sw[c])) as int32, with sx * sw[c] and the quotient in float32.
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

bool quantize_bias(Graph& graph, NodeId node) {
  const ValueId bias = input_of(graph, node, 2);
  const Tensor* values = bias ? graph.constant(bias) : nullptr;
  if (values == nullptr || values->dtype() != DType::kF32 || values->rank() != 1) return false;
  const auto x = dequantized(graph, input_of(graph, node, 0));
  const auto w = dequantized(graph, input_of(graph, node, 1));
  if (!x || !w || !x->constant_scalar() || !w->scales || w->scales->dtype() != DType::kF32 ||
      x->scales->dtype() != DType::kF32 || !ends_quantized(graph, node))
    return false;
  const Tensor& ws = *w->scales;
  const bool per_channel = !w->one_scale(graph);
  const int64_t rank = rank_of(graph, w->data);
  if (per_channel && (ws.rank() != 1 || ws.size() != values->size() || w->block_size != 0 ||
                      wrap_axis(w->axis, rank) != scale_axis(graph, node)))
    return false;
  Tensor scales(DType::kF32, ws.shape()), codes(DType::kI32, values->shape());
  const auto s = scales.mutable_data<float>();
  const auto q = codes.mutable_data<int32_t>();
  for (size_t c = 0; c < s.size(); ++c) s[c] = x->scale_value() * ws.data<float>()[c];
  for (size_t c = 0; c < q.size(); ++c)
    q[c] = to_int32(std::rint(values->data<float>()[c] / s[per_channel ? c : 0]));

  const std::string name = graph.value(bias).name;
  Node dq;
  dq.op = "DequantizeLinear";
  dq.inputs = {add_constant(graph, name + "_int32", std::move(codes)),
               add_constant(graph, name + "_scale", std::move(scales))};
  if (per_channel) dq.attrs.emplace_back("axis", int64_t{0});
  const ValueId real = graph.add_value(graph.unique_name(name + "_dq"), graph.value(bias).type);
  dq.outputs = {real};
  graph.add_node(std::move(dq), node);
  graph.set_input(node, 2, real);
  drop_unused(graph, bias);
  return true;
}

}  // namespace

int64_t quantize_biases(Graph& graph) {
  int64_t changes = 0;
  for (NodeId id : graph.nodes())
    if (is_op(graph, id, "Conv") || is_op(graph, id, "ConvTranspose") || is_op(graph, id, "Gemm"))
      changes += quantize_bias(graph, id);
  return changes;
}

}  // namespace lapidary
