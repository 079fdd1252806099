#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// The newest ai.onnx opset whose list of changed ops is in the table.
inline constexpr int kNewestOpset = 28;
/// Graphs import no older one: models of opset 1 to 6 are upgraded to it when they are read.
inline constexpr int kOldestWorkingOpset = 7;
/// The newest version that models are written for and upgraded to.
inline constexpr int kWorkingOpset = 21;

enum class AttrKind {
  kInt,
  kFloat,
  kString,
  kTensor,
  kGraph,
  kInts,
  kFloats,
  kStrings,
  kGraphs,
  kOpaque
};

/// One attribute of an op: checked once, when a model is loaded.
struct AttrSpec {
  std::string_view name;
  AttrKind kind;
  bool required = false;
  int since = 1;  ///< op versions that have it: since <= version <= until
  int until = std::numeric_limits<int>::max();
};

/// How many inputs or outputs a node may list; max < 0: any number.
struct Arity {
  int min = 0, max = 0;
};

/// What quantization may do with an op (placement itself is a matter of the target's record).
enum class QuantRole {
  kNone,         ///< stays float, or is none of quantization's business
  kCompute,      ///< has an integer form with scales of its own: Conv, Gemm, Add, Sigmoid, ...
  kPassThrough,  ///< moves values; input and output share one scale: Reshape, MaxPool, ...
  kShapeOnly,    ///< reads no values: Shape, Size
  kInteger,      ///< of quantized models: makes or reads integers with scales: QLinearConv, ...
};

/// Of OpDef::half_since: no version has a float16 form.
inline constexpr int kNoHalfForm = std::numeric_limits<int>::max();

class AttrView;
class InferContext;
class EvalContext;
class AxisFlow;
class BodyBuilder;

/// Multiply-accumulates (or, for ops without products, elementary operations count as 0) of one run
/// with static types.
using MacsFn = int64_t (*)(const AttrView&, std::span<const TensorType> inputs,
                           std::span<const TensorType> outputs);

/// For a version that changed the meaning or the form of an op: rewrites one node so that it means
/// the same under `to_version` as it did before it. `apply` null: no rewriting is known, and
/// upgrading such a node is refused. A version without a rule only allows more than the one before
/// it.
struct UpgradeRule {
  int to_version;
  void (*apply)(Graph&, NodeId);
};

/// Which input holds trained weights, and the axis of its output channels (for per-channel scales).
struct WeightRole {
  int input = -1;  ///< -1: the op has none
  int64_t (*channel_axis)(const AttrView&, int64_t weight_rank) = nullptr;
  int bias_input = -1;
};

/// Everything that the toolkit believes about an op. A row of data and function pointers.
struct OpDef {
  std::string_view domain;  ///< "" is ai.onnx
  std::string_view name;
  std::vector<int> versions;  ///< since-versions that are understood, ascending
  std::vector<int> later;     ///< since-versions up to kNewestOpset that are not
  Arity inputs, outputs;
  std::vector<AttrSpec> attrs;
  void (*infer)(InferContext&) = nullptr;  ///< types of the outputs; throws where the node is wrong
  void (*evaluate)(EvalContext&) = nullptr;  ///< the reference: naive, obviously right
  void (*axes)(AxisFlow&) = nullptr;  ///< how elements of axes depend; null: none may be removed
  QuantRole role = QuantRole::kNone;
  /// Of kInteger ops: the input with the scale of a quantized result; its zero point is the next.
  int output_scale = -1;
  WeightRole weight = {};  ///< of kCompute ops with trained weights
  MacsFn macs = nullptr;   ///< null: none
  bool foldable = true;    ///< false: random, or depends on more than its inputs
  /// The first version with a float16 form: every float32 input and output may be float16.
  /// kNoHalfForm too where 11 bits decide the result: positions, order, sums of squares.
  int half_since = 1;
  std::vector<UpgradeRule> upgrades = {};
  /// Of own ops that files may hold: what they are in standard ops (src/ops/function_body.h).
  /// Passes leave such a node on constants as it is: it is how small weights are written.
  void (*body)(BodyBuilder&) = nullptr;
};

/// The row, of an op without a float16 form.
inline OpDef without_half_form(OpDef row) {
  row.half_since = kNoHalfForm;
  return row;
}

/// The row, with since-versions that are not understood.
inline OpDef with_later(std::vector<int> versions, OpDef row) {
  row.later = std::move(versions);
  return row;
}

/// All rows, sorted by domain and name.
std::span<const OpDef* const> all_ops();
/// Null where the op is not in the table.
const OpDef* find_op(std::string_view domain, std::string_view name);
/// The since-version that an import of `opset` means for this op, or 0 where that is none of the
/// versions understood.
int op_version(const OpDef& def, int64_t opset);
/// Row and version of a node in its graph; {nullptr, 0} where unknown or not understood.
struct ResolvedOp {
  const OpDef* def = nullptr;
  int version = 0;
  explicit operator bool() const { return def != nullptr; }
  /// Scales are float32.
  bool has_half_form() const {
    return def->role != QuantRole::kInteger && version >= def->half_since;
  }
};
LAPIDARY_API ResolvedOp resolve_op(const Graph& graph, NodeId id);
/// The same, or throws: Error{kUnsupported} for an op that is not in the table and for a version
/// that is not understood, Error{kInvalid} for a domain that the graph does not import.
ResolvedOp require_op(const Graph& graph, NodeId id);

/// A node's attributes, read with the types of its OpDef; absent ones give the stated default.
class AttrView {
 public:
  AttrView(const Node& node, int version) : node_(&node), version_(version) {}

  int version() const { return version_; }
  const Node& node() const { return *node_; }
  bool has(std::string_view name) const { return node_->attr(name) != nullptr; }
  int64_t get_int(std::string_view name, int64_t otherwise) const {
    return get<int64_t>(name, otherwise);
  }
  float get_float(std::string_view name, float otherwise) const {
    return get<float>(name, otherwise);
  }
  std::string get_string(std::string_view name, std::string otherwise) const {
    return get<std::string>(name, std::move(otherwise));
  }
  std::vector<int64_t> get_ints(std::string_view name, std::vector<int64_t> otherwise = {}) const {
    return get<std::vector<int64_t>>(name, std::move(otherwise));
  }
  std::vector<float> get_floats(std::string_view name, std::vector<float> otherwise = {}) const {
    return get<std::vector<float>>(name, std::move(otherwise));
  }
  const Tensor* get_tensor(std::string_view name) const {
    const Attr* attr = node_->attr(name);
    return attr ? std::get_if<Tensor>(attr) : nullptr;
  }

 private:
  template <class T>
  T get(std::string_view name, T otherwise) const {
    const Attr* attr = node_->attr(name);
    const T* value = attr ? std::get_if<T>(attr) : nullptr;
    return value ? *value : otherwise;
  }

  const Node* node_;
  int version_;
};

/// Throws Error{kInvalid} for: attributes of the wrong type, unknown, twice, missing; too few or
/// many inputs and outputs; references to a function's attributes (bodies are checked once
/// inlined). Nodes of unknown ops, and of versions that are not understood, pass.
void check_node(const Graph& graph, NodeId id);

}  // namespace lapidary
