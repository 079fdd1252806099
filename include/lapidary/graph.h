#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "lapidary/export.h"
#include "lapidary/tensor.h"

namespace lapidary {

class Graph;

/// Index of a node or value in its graph; stable while the node or value lives, never reused.
/// A default-made id is "none": an absent optional input, a value without producer.
template <class Tag>
struct Id {
  uint32_t index = std::numeric_limits<uint32_t>::max();
  bool valid() const { return index != std::numeric_limits<uint32_t>::max(); }
  explicit operator bool() const { return valid(); }
  auto operator<=>(const Id&) const = default;
};
using NodeId = Id<struct NodeTag>;
using ValueId = Id<struct ValueTag>;

/// One axis's size: known, a named symbol, or unknown.
struct Dim {
  int64_t value = -1;  ///< >= 0 where known
  std::string symbol;  ///< "N", "" where unnamed

  Dim() = default;
  Dim(int64_t size) : value(size) {}  // NOLINT: a number is a dim
  static Dim named(std::string name) {
    Dim d;
    d.symbol = std::move(name);
    return d;
  }
  bool known() const { return value >= 0; }
  bool operator==(const Dim&) const = default;
};

/// Element type and shape as far as they are known.
struct TensorType {
  DType dtype = DType::kUndefined;
  std::optional<std::vector<Dim>> shape;  ///< absent: not even the rank is known

  bool operator==(const TensorType&) const = default;
  /// True where every dim is known.
  LAPIDARY_API bool is_static() const;
  /// Throws Error{kInternal} unless static.
  LAPIDARY_API Shape static_shape() const;
  /// "float32[N,3,224,224]", "float32[?]" without a rank.
  LAPIDARY_API std::string text() const;
};
LAPIDARY_API TensorType tensor_type(DType dtype, std::span<const int64_t> shape);
LAPIDARY_API TensorType tensor_type(const Tensor& tensor);

/// How real values are stored: real = (q - zero_point) * scale (affine), qmin <= q <= qmax.
/// Found by calibration (choose_qparams), not asked for (QuantScheme).
struct QuantParams {
  enum class Kind { kAffine, kCodebook, kFloat8 };
  Kind kind = Kind::kAffine;
  DType storage = DType::kU8;  ///< type of q on disk: u8, i8, u4, i4, i16, i32, ...
  DType scale_dtype = DType::kF32;
  std::vector<float> scale;  ///< one, or one per slice along `axis` (per block: row-major blocks)
  std::vector<int32_t> zero_point;  ///< as long as scale
  int64_t axis = -1;                ///< -1: per tensor
  int64_t block_size = 0;           ///< > 0: blocks of that many along `axis`
  int32_t qmin = 0, qmax = 255;
  std::vector<float> codebook;  ///< kCodebook: real = codebook[q] * scale

  bool per_tensor() const { return axis < 0; }
  bool operator==(const QuantParams&) const = default;
};

/// A node's reading of a value: input slot, or capture (by a subgraph of the node).
struct Use {
  NodeId node;
  uint32_t slot = 0;  ///< index into Node::inputs, or into Node::captures
  bool capture = false;
  bool operator==(const Use&) const = default;
};

/// What a node or the graph's caller makes: a tensor, usually.
struct Value {
  std::string name;  ///< unique in the graph, never empty
  TensorType type;
  std::optional<Tensor> constant;    ///< an initializer's elements
  std::optional<QuantParams> quant;  ///< decided, not yet nodes
  std::string other_type;  ///< serialized TypeProto of what is no tensor (sequence, map, ...)
  std::string extra;       ///< serialized fields kept for the file (docs, metadata)
  bool in_file = false;    ///< had a value_info in the file it was read from
  NodeId producer;         ///< none: graph input, constant or capture
  uint32_t producer_slot = 0;
  std::vector<Use> uses;  ///< in no particular order
};

/// A reference to an attribute of the function whose body this is.
struct AttrRef {
  std::string name;
  int32_t type = 0;  ///< AttributeProto.AttributeType
  bool operator==(const AttrRef&) const = default;
};
/// An attribute of a kind that Lapidary does not read (type_proto, sparse tensor): its message's
/// bytes.
struct OpaqueAttr {
  std::string proto;
  bool operator==(const OpaqueAttr&) const = default;
};
using Attr = std::variant<int64_t, float, std::string, Tensor, std::shared_ptr<const Graph>,
                          std::vector<int64_t>, std::vector<float>, std::vector<std::string>,
                          std::vector<Tensor>, std::vector<std::shared_ptr<const Graph>>, AttrRef,
                          OpaqueAttr>;

/// A value of the enclosing graph that a subgraph attribute reads.
struct Capture {
  ValueId outer;
  std::string attr;    ///< the attribute that holds the subgraph
  uint32_t index = 0;  ///< which one, for a list of graphs
  ValueId inner;       ///< the value that stands for it in the subgraph
};

/// One operation. Changed only through its Graph.
struct Node {
  std::string domain;  ///< "" is ai.onnx
  std::string op;
  std::string name;                                 ///< may be empty; see node_label
  std::vector<ValueId> inputs;                      ///< none: absent optional input
  std::vector<ValueId> outputs;                     ///< none: output not wanted
  std::vector<std::pair<std::string, Attr>> attrs;  ///< in file order
  std::vector<Capture> captures;
  std::string extra;  ///< serialized fields kept for the file (doc, overload, metadata)

  /// The attribute or null.
  const Attr* attr(std::string_view key) const {
    for (const auto& [name_of, value] : attrs)
      if (name_of == key) return &value;
    return nullptr;
  }
  bool is(std::string_view op_type, std::string_view of_domain = "") const {
    return op == op_type && domain == of_domain;
  }
};

struct OpsetImport {
  std::string domain;
  int64_t version = 0;
  bool operator==(const OpsetImport&) const = default;
};

/// A model-local function: kept as it is, inlined where it must be executed.
struct Function {
  std::string domain, name;
  std::vector<std::string> attributes;  ///< names that the body's AttrRefs use
  std::vector<std::pair<std::string, Attr>>
      defaults;                       ///< those that have a value where a call gives none
  std::shared_ptr<const Graph> body;  ///< its inputs and outputs are the function's
  std::string extra;
};

/// What a model file says besides its graph.
struct ModelInfo {
  int64_t ir_version = 8;
  std::string producer_name, producer_version, domain, doc;
  int64_t model_version = 0;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Function> functions;
  std::string extra;  ///< serialized fields kept for the file (training_info, newer fields)
};

/// Nodes and values with stable ids; nodes are listed in topological order. Copies are independent
/// and cheap (tensors are shared). Def-use lists are right at every moment; `verify` checks
/// everything. A reference to a node or value is valid until that node or value is removed.
class LAPIDARY_API Graph {
 public:
  std::string name;
  std::string extra;  ///< serialized fields kept for the file
  std::vector<OpsetImport> opsets;
  ModelInfo model;  ///< of the outermost graph

  /// The imported version of a domain ("" and "ai.onnx" are one), 0 where it is not imported.
  int64_t opset(std::string_view domain = "") const;
  void set_opset(std::string_view domain, int64_t version);

  // -- values
  /// `wanted` with a number appended where it is taken (or empty).
  std::string unique_name(std::string_view wanted) const;
  /// Throws Error{kInvalid} where the name is empty or taken.
  ValueId add_value(std::string name, TensorType type = {});
  ValueId add_constant(std::string name, Tensor elements);
  const Value& value(ValueId id) const;
  Value& mutable_value(ValueId id);  ///< not for name, producer, uses: use the mutators
  /// None where there is no such value.
  ValueId find_value(std::string_view name) const;
  std::vector<ValueId> values() const;  ///< in order of creation
  void rename_value(ValueId id, std::string name);
  /// Only where nobody makes or uses it and it is no input or output.
  void remove_value(ValueId id);
  bool is_output(ValueId id) const;
  bool is_input(ValueId id) const;
  /// Elements known now: an initializer, and not one that the caller may override (a graph input).
  const Tensor* constant(ValueId id) const;

  // -- the graph's own inputs and outputs
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  void set_inputs(std::vector<ValueId> ids);
  void set_outputs(std::vector<ValueId> ids);

  // -- nodes
  /// `wanted` with a number appended where another node is called so. Engines refuse graphs with
  /// two nodes of one name, but files may have them.
  std::string unique_node_name(std::string_view wanted) const;
  /// Appends, or inserts before `before`. Its outputs must have no producer yet.
  NodeId add_node(Node node, NodeId before = {});
  const Node& node(NodeId id) const;
  bool alive(NodeId id) const;
  bool alive(ValueId id) const;
  /// All nodes, topological. A snapshot: changing the graph does not disturb a loop over it.
  std::vector<NodeId> nodes() const;
  size_t node_count() const { return live_nodes_; }
  NodeId next(NodeId id) const;  ///< none at the end
  NodeId previous(NodeId id) const;
  /// Its outputs lose their producer and stay.
  void remove_node(NodeId id);
  void set_input(NodeId id, size_t slot, ValueId value);  ///< grows the list with absent inputs
  void truncate_inputs(NodeId id, size_t count);
  void set_output(NodeId id, size_t slot, ValueId value);
  void set_attr(NodeId id, std::string_view key, Attr value);
  void erase_attr(NodeId id, std::string_view key);
  void set_op(NodeId id, std::string domain, std::string op);
  void rename_node(NodeId id, std::string name);
  void set_captures(NodeId id, std::vector<Capture> captures);

  /// Every use of `from`, graph outputs included, becomes a use of `to`. The graph output keeps its
  /// name: where `from` is an output, `to` takes that name if it is no input, output or constant
  /// itself, else an Identity is added. Where `from` is an input and an output too, its name is the
  /// input's and that output stays with it.
  void replace_uses(ValueId from, ValueId to);
  /// Uses as node inputs and captures, plus one for each time it is a graph output.
  size_t use_count(ValueId id) const;

  /// Puts the nodes into topological order (stable). Throws Error{kInvalid} naming a cycle.
  void sort();
  /// Throws Error{kInternal} where a promise of this class does not hold.
  void verify() const;

 private:
  struct NodeSlot {
    Node node;
    std::vector<uint32_t> input_at,
        capture_at;  ///< where in Value::uses each of the node's uses is
    NodeId previous, next;
    bool alive = false;
  };
  struct ValueSlot {
    Value value;
    bool alive = false;
    bool is_input = false;
    uint32_t as_output = 0;  ///< how often it is listed
  };
  NodeSlot& slot(NodeId id);
  const NodeSlot& slot(NodeId id) const;
  ValueSlot& slot(ValueId id);
  const ValueSlot& slot(ValueId id) const;
  void link(NodeId id, NodeId before);
  void unlink(NodeId id);
  uint32_t& use_position(const Use& use);
  void add_use(ValueId value, Use use);
  void count_node_name(const std::string& name, bool added);
  void drop_use(ValueId value, Use use);
  std::string cycle_text(const std::vector<size_t>& waits) const;

  std::deque<NodeSlot> nodes_;  // not vectors: references stay valid while others are added
  std::deque<ValueSlot> values_;
  struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, ValueId, NameHash, std::equal_to<>> by_name_;
  std::unordered_map<std::string, uint32_t> node_names_;  ///< nodes of each name
  std::vector<ValueId> inputs_, outputs_;
  NodeId first_, last_;
  size_t live_nodes_ = 0;
};

/// "Conv 'layer1.0'", or "Conv making 'y'" for a node without name: what messages call it.
LAPIDARY_API std::string node_label(const Graph& graph, NodeId id);
/// The node's name, or the name of its first output: what patterns, reports and records call it.
LAPIDARY_API std::string node_key(const Graph& graph, NodeId id);
/// Structural equality: same nodes in order, wiring by name, attributes, constants, types, quant
/// params.
LAPIDARY_API bool same_graph(const Graph& a, const Graph& b, std::string* difference = nullptr);

}  // namespace lapidary
