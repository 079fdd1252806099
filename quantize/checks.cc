#include "quantize/checks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/evaluate.h"
#include "src/ops/infer.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

/// How many elements were not finite, and the first.
std::pair<int64_t, int64_t> count_unusable(std::span<const float> x, float most) {
  int64_t count = 0, first = -1;
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::abs(x[i]) <= most) continue;  // false for NaN
    if (first < 0) first = static_cast<int64_t>(i);
    ++count;
  }
  return {count, first};
}

/// Sums of products of larger weights leave float32.
constexpr float kLargestWeight = 1e30f;

/// To the largest weight that is usable: anything near `most` would leave float32 a layer later.
void clamp_all(Tensor& tensor, float most) {
  float largest = 0;
  for (const float x : tensor.data<float>())
    if (std::abs(x) <= most) largest = std::max(largest, std::abs(x));
  most = largest;
  for (float& x : tensor.mutable_data<float>()) x = std::isnan(x) ? 0 : std::clamp(x, -most, most);
}

void check_finite(Graph& graph, ValueId id, float most, const QuantizeOptions& options,
                  QuantizeLog& log) {
  const auto [count, first] = count_unusable(graph.constant(id)->data<float>(), most);
  if (count == 0) return;
  const std::string name = printable(graph.value(id).name);
  if (options.nonfinite != "clamp")
    fail_invalid(
        "weights '{}': {} of {} values are NaN, infinite or beyond {:g}, the first at index {}; "
        "`nonfinite: clamp` (--nonfinite clamp) accepts them",
        name, count, graph.constant(id)->size(), most, first);
  clamp_all(*graph.mutable_value(id).constant, most);
  log.warnings.push_back(
      fmt::format("weights '{}': {} values that are not finite were clamped", name, count));
}

}  // namespace

void check_weights(Graph& graph, const QuantizeOptions& options, QuantizeLog& log);

void check_batchnorms(const Graph& graph) {
  for (const NodeId id : graph.nodes()) {
    if (!is_op(graph, id, "BatchNormalization") || int_attr(graph, id, "training_mode", 0) != 0)
      continue;
    const auto variance = constant_floats(graph, input_of(graph, id, 4));
    if (!variance) continue;
    const float epsilon = float_attr(graph, id, "epsilon", 1e-5f);
    for (size_t c = 0; c < variance->size(); ++c)
      if (const float v = (*variance)[c]; !(v >= 0) || !std::isfinite(v) || !(v + epsilon > 0))
        fail_invalid("{}: the variance of channel {} is {} (epsilon {}); it cannot be folded",
                     node_label(graph, id), c, v, epsilon);
  }
}

namespace {

/// Clips by the Q whose saturation they are: every DQ behind that Q reads the same one.
using Clips = std::map<uint32_t, ValueId>;

/// Clip(x, (qmin - z) * s, (qmax - z) * s); none where Q's parameters do not give one. Its output
/// takes x's name where Q alone reads x: a name means what the later layers see.
ValueId saturation_clip(Graph& graph, const QdqNode& q, NodeId before) {
  if (!graph.value(q.data).producer.valid() || !q.constant_scalar() || !storage_range(q.storage))
    return {};
  const IntRange range = *storage_range(q.storage);
  const float low = static_cast<float>(range.low - q.zero_value()) * q.scale_value();
  const float high = static_cast<float>(range.high - q.zero_value()) * q.scale_value();
  const std::string name = graph.value(q.data).name;
  if (only_user(graph, q.data) == q.node)
    graph.rename_value(q.data, graph.unique_name(name + "_unclipped"));
  const ValueId out = graph.add_value(graph.unique_name(name), graph.value(q.data).type);
  Node clip{.op = "Clip", .name = graph.unique_node_name(name + "_clip")};
  clip.inputs = {q.data};
  clip.outputs = {out};
  if (graph.opset() < 11) {
    clip.attrs = {{"min", low}, {"max", high}};
  } else {
    clip.inputs.push_back(add_constant(graph, "clip_low", Tensor::scalar(low)));
    clip.inputs.push_back(add_constant(graph, "clip_high", Tensor::scalar(high)));
  }
  graph.add_node(std::move(clip), before);
  return out;
}

/// Q -> DQ of one scale and zero point without its rounding.
void clip_instead(Graph& graph, const QdqNode& q, const QdqNode& dq, Clips& clips) {
  const auto [found, first] = clips.try_emplace(q.node.index);
  if (first) found->second = saturation_clip(graph, q, dq.node);
  graph.replace_uses(dq.output, found->second.valid() ? found->second : q.data);
  drop_node(graph, dq.node);
}

void remove_qdq(Graph& graph) {
  Clips clips;
  for (const NodeId id : graph.nodes()) {
    if (!graph.alive(id) || !is_dequantize(graph, id)) continue;
    const auto dq = read_qdq(graph, id);
    if (!dq) continue;
    if (graph.constant(dq->data)) {
      std::vector<const Tensor*> inputs;
      for (const ValueId in : graph.node(id).inputs)
        inputs.push_back(in.valid() ? graph.constant(in) : nullptr);
      std::vector<Tensor> made = evaluate_node(graph, id, inputs);
      graph.replace_uses(dq->output,
                         add_constant(graph, graph.value(dq->output).name, std::move(made.at(0))));
      drop_node(graph, id);
    } else if (const NodeId maker = graph.value(dq->data).producer; is_quantize(graph, maker)) {
      // A DQ of other parameters than its Q's rescales: it stays, and is refused.
      const auto q = read_qdq(graph, maker);
      if (q && same_params(*q, *dq)) clip_instead(graph, *q, *dq, clips);
    }
  }
}

/// What is left of integers in a graph that remove_qdq went over: an integer operator before a Q/DQ
/// that stands at one; "" where there is nothing.
std::string left_integer(const Graph& graph) {
  std::string qdq;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    const OpDef* def = find_op(node.domain, node.op);
    if (def == nullptr || def->role != QuantRole::kInteger) continue;
    if (!is_quantize(graph, id) && !is_dequantize(graph, id)) return node_label(graph, id);
    if (qdq.empty()) qdq = node_label(graph, id);
  }
  return qdq;
}

constexpr const char* kNoWayBack =
    "files of integer operators (QOperator) cannot be made float again; start from the float model";

/// Of a model that is quantized, without `requantize`: which is advised where it would do.
[[noreturn]] void refuse_quantized(const Graph& graph) {
  std::string where;
  is_quantized_model(graph, &where);
  Graph lifted = graph;
  remove_qdq(lifted);
  if (const std::string left = left_integer(lifted); !left.empty())
    fail_usage("the model is quantized already ({}); {}", left, kNoWayBack);
  fail_usage("the model is quantized already ({}); `requantize` (--requantize) accepts it", where);
}

}  // namespace

Graph quantization_source(const Graph& graph, const QuantizeOptions& options, QuantizeLog& log) {
  Graph out = graph;
  if (options.requantize) {
    remove_qdq(out);
    if (const std::string left = left_integer(out); !left.empty())
      fail_unsupported("{}: {}", left, kNoWayBack);
  }
  infer_types(out);
  check_quantizable(out, options, log);
  return out;
}

void check_quantizable(Graph& graph, const QuantizeOptions& options, QuantizeLog& log) {
  if (options.nonfinite != "error" && options.nonfinite != "clamp")
    fail_usage("nonfinite: '{}'; there are error and clamp", printable(options.nonfinite));
  if (!options.requantize && is_quantized_model(graph)) refuse_quantized(graph);
  check_batchnorms(graph);
  check_weights(graph, options, log);
}

void check_weights(Graph& graph, const QuantizeOptions& options, QuantizeLog& log) {
  for (const NodeId id : graph.nodes()) {
    const ResolvedOp op = resolve_op(graph, id);
    if (!op || op.def->role != QuantRole::kCompute) continue;
    const float most =
        op.def->weight.channel_axis ? kLargestWeight : std::numeric_limits<float>::max();
    for (const ValueId input : std::vector<ValueId>(graph.node(id).inputs)) {
      const Tensor* constant = input.valid() ? graph.constant(input) : nullptr;
      if (!constant) continue;
      if (is_float(constant->dtype()) && constant->dtype() != DType::kF32)
        fail_unsupported("{}: weights '{}' are {}; only float32 models are quantized",
                         node_label(graph, id), printable(graph.value(input).name),
                         dtype_name(constant->dtype()));
      if (constant->dtype() == DType::kF32) check_finite(graph, input, most, options, log);
    }
  }
}

}  // namespace lapidary
