#include "src/passes/qdq/qdq.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/quant.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

// Since when Q and DQ may carry more than 8 bits and live in com.microsoft does not matter here:
// both domains mean the same.
bool is_linear(const Graph& graph, NodeId node, std::string_view op) {
  const Node& n = graph.node(node);
  return n.op == op && (n.domain.empty() || n.domain == "ai.onnx" || n.domain == "com.microsoft");
}

bool is_one(const Tensor& t) { return t.rank() == 0 || (t.rank() == 1 && t.dim(0) == 1); }

std::string name_of(const Graph& graph, ValueId value) {
  return printable(graph.value(value).name, 80);
}

}  // namespace

bool is_quantize(const Graph& graph, NodeId node) {
  return node && is_linear(graph, node, "QuantizeLinear");
}
bool is_dequantize(const Graph& graph, NodeId node) {
  return node && is_linear(graph, node, "DequantizeLinear");
}

std::optional<QdqNode> read_qdq(const Graph& graph, NodeId node) {
  if (!is_quantize(graph, node) && !is_dequantize(graph, node)) return std::nullopt;
  const Node& n = graph.node(node);
  if (n.inputs.size() < 2 || !n.inputs[0] || !n.inputs[1] || n.outputs.empty() || !n.outputs[0])
    return std::nullopt;
  QdqNode q;
  q.node = node;
  q.dequantizes = n.op == "DequantizeLinear";
  q.data = n.inputs[0];
  q.output = n.outputs[0];
  q.scale = n.inputs[1];
  q.zero_point = input_of(graph, node, 2);
  q.scales = graph.constant(q.scale);
  if (q.zero_point) q.zero_points = graph.constant(q.zero_point);
  q.axis = int_attr(graph, node, "axis", 1);
  q.block_size = int_attr(graph, node, "block_size", 0);
  if (q.dequantizes) q.storage = graph.value(q.data).type.dtype;
  if (q.storage == DType::kUndefined && q.zero_point)
    q.storage = graph.value(q.zero_point).type.dtype;
  if (q.storage == DType::kUndefined && !q.dequantizes)
    q.storage =
        static_cast<DType>(int_attr(graph, node, "output_dtype", static_cast<int64_t>(DType::kU8)));
  if (q.storage == DType::kUndefined) q.storage = DType::kU8;
  return q;
}

std::optional<QdqNode> dequantized(const Graph& graph, ValueId value) {
  if (!value) return std::nullopt;
  const NodeId made_by = graph.value(value).producer;
  return is_dequantize(graph, made_by) ? read_qdq(graph, made_by) : std::nullopt;
}

bool QdqNode::constant_scalar() const {
  return scales && is_one(*scales) && (!zero_point || (zero_points && is_one(*zero_points)));
}

bool QdqNode::one_scale(const Graph& graph) const {
  if (scales) return is_one(*scales);
  const auto shape = static_shape(graph, scale);
  return shape && (shape->empty() || (shape->size() == 1 && shape->front() == 1));
}

float QdqNode::scale_value() const {
  LAPIDARY_CHECK(constant_scalar() && scales->dtype() == DType::kF32);
  return scales->data<float>()[0];
}

int32_t QdqNode::zero_value() const {
  LAPIDARY_CHECK(constant_scalar());
  return zero_points ? read_quantized(*zero_points).at(0) : 0;
}

bool same_params(const QdqNode& a, const QdqNode& b) {
  if (!a.constant_scalar() || !b.constant_scalar() || !a.zero_points || !b.zero_points)
    return false;
  if (a.storage != b.storage || a.zero_points->dtype() != b.zero_points->dtype()) return false;
  if (a.scales->dtype() != b.scales->dtype() || a.zero_value() != b.zero_value()) return false;
  return a.scales->reshaped({}).equals(b.scales->reshaped({}));
}

std::optional<IntRange> storage_range(DType dtype) {
  switch (dtype) {
    case DType::kI8:
      return IntRange{-128, 127};
    case DType::kU8:
      return IntRange{0, 255};
    case DType::kI16:
      return IntRange{-32768, 32767};
    case DType::kU16:
      return IntRange{0, 65535};
    case DType::kI4:
      return IntRange{-8, 7};
    case DType::kU4:
      return IntRange{0, 15};
    case DType::kI2:
      return IntRange{-2, 1};
    case DType::kU2:
      return IntRange{0, 3};
    default:
      return std::nullopt;
  }
}

ValueId zero_point_or_zero(Graph& graph, const QdqNode& qdq) {
  if (qdq.zero_point) return qdq.zero_point;
  return add_constant(graph, graph.value(qdq.scale).name + "_zero", Tensor(qdq.storage, {}));
}

std::optional<ClipBounds> clip_bounds(const Graph& graph, NodeId clip) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  ClipBounds bounds{float_attr(graph, clip, "min", -kInf), float_attr(graph, clip, "max", kInf)};
  const auto read = [&](size_t slot, float& bound) {
    const ValueId value = input_of(graph, clip, slot);
    if (!value) return true;
    const auto constant = constant_scalar(graph, value);
    if (constant) bound = *constant;
    return constant.has_value();
  };
  if (!read(1, bounds.low) || !read(2, bounds.high)) return std::nullopt;
  return bounds;
}

std::optional<ClipBounds> clamp_bounds(const Graph& graph, NodeId clamp) {
  if (is_op(graph, clamp, "Relu")) return ClipBounds{0, std::numeric_limits<float>::infinity()};
  return is_op(graph, clamp, "Clip") ? clip_bounds(graph, clamp) : std::nullopt;
}

bool saturation_clamps(const ClipBounds& bounds, float scale, int32_t zero, IntRange range,
                       Beyond beyond) {
  if (!(scale > 0)) return false;
  const bool half = beyond == Beyond::kHalfAStep;
  const float low = bounds.low / scale, high = bounds.high / scale;
  return (half ? std::rint(low) : std::floor(low)) <= static_cast<float>(range.low - zero) &&
         (half ? std::rint(high) : std::ceil(high)) >= static_cast<float>(range.high - zero);
}

bool clamp_is_redundant(const Graph& graph, NodeId clamp, const QdqNode& q) {
  const auto range = storage_range(q.storage);
  if (!range || !q.constant_scalar() || q.scales->dtype() != DType::kF32) return false;
  const auto bounds = clamp_bounds(graph, clamp);
  return bounds &&
         saturation_clamps(*bounds, q.scale_value(), q.zero_value(), *range, Beyond::kHalfAStep);
}

namespace {

// Redundant clamps are gone by now. One that is left is the node's only reader, inside the graph
// and read once: ONNX Runtime then takes neither the node alone nor the two together.
std::string clamp_in_the_way(const Graph& graph, const NodeGroup& group) {
  const Node& n = graph.node(group.node);
  if (group.readers != 1 || !group.outputs.empty()) return {};
  for (ValueId out : n.outputs) {
    if (!out || reader_count(graph, out) == 0 || graph.value(out).uses[0].capture) continue;
    const NodeId next = graph.value(out).uses[0].node;
    if (!is_op(graph, next, "Relu") && !is_op(graph, next, "Clip")) continue;
    const ValueId clamped = output_of(graph, next);
    if (graph.is_output(clamped) || reader_count(graph, clamped) != 1) continue;
    const Use& reader = graph.value(clamped).uses[0];
    const std::string what = fmt::format("the {} behind it", graph.node(next).op);
    return !reader.capture && is_quantize(graph, reader.node)
               ? what + " clamps inside the range of the output's quantization"
               : what + " is not followed by QuantizeLinear";
  }
  return {};
}

}  // namespace

NodeGroup node_group(const Graph& graph, NodeId node) {
  NodeGroup group;
  group.node = node;
  const Node& n = graph.node(node);
  for (ValueId in : n.inputs) {
    group.inputs.push_back(dequantized(graph, in));
    group.present += in.valid();
    group.dequantized += group.inputs.back().has_value();
  }
  for (ValueId out : n.outputs) {
    if (!out) continue;
    group.readers += reader_count(graph, out);
    for (const Use& use : graph.value(out).uses)
      if (!use.capture && use.slot == 0 && is_quantize(graph, use.node))
        if (auto q = read_qdq(graph, use.node)) group.outputs.push_back(*q);
  }
  group.refusal = clamp_in_the_way(graph, group);
  return group;
}

std::string check_group(const Graph& graph, const NodeGroup& group, size_t wanted,
                        bool float_output) {
  const Node& n = graph.node(group.node);
  if (!group.refusal.empty()) return group.refusal;
  if (wanted == SIZE_MAX) wanted = group.present;
  if (group.dequantized != wanted) {
    for (size_t i = 0; i < group.inputs.size(); ++i)
      if (n.inputs[i] && !group.inputs[i])
        return fmt::format("input {} ('{}') is not dequantized", i, name_of(graph, n.inputs[i]));
    return fmt::format("{} inputs are dequantized, {} expected", group.dequantized, wanted);
  }
  if (group.outputs.empty()) return float_output ? "" : "its output is not quantized";
  const auto made = static_cast<size_t>(
      std::count_if(n.outputs.begin(), n.outputs.end(), [](ValueId v) { return v.valid(); }));
  if (makes_graph_output(graph, group.node)) return "its output is an output of the graph";
  if (group.outputs.size() != group.readers)
    return "its output is read by other nodes than QuantizeLinear";
  if (group.outputs.size() != made) return "its output is quantized more than once";
  return {};
}

}  // namespace lapidary
