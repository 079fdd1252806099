#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// A QuantizeLinear or DequantizeLinear node, read.
struct QdqNode {
  NodeId node;
  bool dequantizes = false;
  ValueId data;  ///< its first input
  ValueId output;
  ValueId scale;
  ValueId zero_point;                   ///< none: 0
  DType storage = DType::kUndefined;    ///< of the integer side
  const Tensor* scales = nullptr;       ///< elements, where constant
  const Tensor* zero_points = nullptr;  ///< elements, where given and constant
  int64_t axis = 1;
  int64_t block_size = 0;

  /// One constant scale, and one constant zero point or none.
  bool constant_scalar() const;
  /// One scale for the whole tensor, constant or not.
  bool one_scale(const Graph& graph) const;
  float scale_value() const;   ///< where constant_scalar
  int32_t zero_value() const;  ///< where constant_scalar
};

bool is_quantize(const Graph& graph, NodeId node);
bool is_dequantize(const Graph& graph, NodeId node);
/// Either kind; nullopt for other nodes.
std::optional<QdqNode> read_qdq(const Graph& graph, NodeId node);
/// The DequantizeLinear that makes a value.
std::optional<QdqNode> dequantized(const Graph& graph, ValueId value);

/// Both per tensor, constant, with stated zero points, and equal.
bool same_params(const QdqNode& a, const QdqNode& b);
/// Smallest and largest integer of a storage type of up to 16 bits.
struct IntRange {
  int32_t low = 0, high = 0;
};
std::optional<IntRange> storage_range(DType dtype);
/// The zero point input, or a new constant 0 of the storage type.
ValueId zero_point_or_zero(Graph& graph, const QdqNode& qdq);
/// Bounds of a Clip (attributes before opset 11, inputs later), infinite where absent; nullopt
/// where they are not constant.
struct ClipBounds {
  float low, high;
};
std::optional<ClipBounds> clip_bounds(const Graph& graph, NodeId clip);
/// The same of a Clip or a Relu ([0, infinity]); nullopt of any other node.
std::optional<ClipBounds> clamp_bounds(const Graph& graph, NodeId clamp);
/// How far integers may reach beyond a clamp's bounds that their saturation stands for.
enum class Beyond {
  kHalfAStep,      ///< the bound rounds to the last integer, half to even: ONNX Runtime's rule
  kLessThanAStep,  ///< so that nothing lies below a bound of 0
};
/// True where the saturation of q = clamp(round(x / scale) + zero, range) does what the bounds do.
bool saturation_clamps(const ClipBounds& bounds, float scale, int32_t zero, IntRange range,
                       Beyond beyond);
/// Relu or Clip that ONNX Runtime drops before `q`: the parameters are constant and per tensor, and
/// saturation clamps.
bool clamp_is_redundant(const Graph& graph, NodeId clamp, const QdqNode& q);

/// A float node with the Q/DQ nodes around it.
struct NodeGroup {
  NodeId node;
  std::vector<std::optional<QdqNode>> inputs;  ///< per input slot, its DequantizeLinear
  size_t present = 0;                          ///< inputs that exist
  size_t dequantized = 0;                      ///< inputs that a DequantizeLinear makes
  std::vector<QdqNode> outputs;                ///< every QuantizeLinear behind the node
  size_t readers = 0;                          ///< of all outputs of the node
  std::string refusal;  ///< set where a Relu or Clip behind the node is in the way

  const QdqNode& input(size_t slot) const { return *inputs.at(slot); }
  bool has_input(size_t slot) const { return slot < inputs.size() && inputs[slot].has_value(); }
};
NodeGroup node_group(const Graph& graph, NodeId node);

/// Empty where the group is `dequantized` inputs (SIZE_MAX: all that exist) and one QuantizeLinear,
/// sole reader, per output (or none where `float_output` allows it); else what is in the way.
std::string check_group(const Graph& graph, const NodeGroup& group, size_t dequantized = SIZE_MAX,
                        bool float_output = false);

}  // namespace lapidary
