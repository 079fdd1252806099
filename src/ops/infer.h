#pragma once

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "src/ops/opdef.h"

namespace lapidary {

/// An integer tensor of rank 0 or 1 known element by element, some perhaps only by symbol: what
/// flows from Shape through Gather, Concat, Mul, ... into Reshape. A Dim is never negative, so an
/// element below zero (Reshape's -1) is an unknown one here; `InferContext::ints` has it where all
/// are known.
using ShapeValue = std::vector<Dim>;

/// What a row's `infer` sees: types of the inputs, elements where they are known.
class InferContext {
 public:
  struct Input {
    bool present = false;
    TensorType type;
    const Tensor* constant = nullptr;            ///< elements, where known
    std::optional<ShapeValue> shape_value = {};  ///< where known
  };

  InferContext(AttrView attrs, std::vector<Input> inputs, size_t outputs)
      : attrs_(attrs), inputs_(std::move(inputs)), types_(outputs), shape_values_(outputs) {}

  const AttrView& attrs() const { return attrs_; }
  int version() const { return attrs_.version(); }
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return types_.size(); }
  bool has_input(size_t i) const { return i < inputs_.size() && inputs_[i].present; }
  /// An absent input has the empty type.
  const TensorType& type(size_t i) const;
  DType dtype(size_t i) const { return type(i).dtype; }
  /// The shape or null where the rank is not known.
  const std::vector<Dim>* shape(size_t i) const;
  const Tensor* constant(size_t i) const {
    return i < inputs_.size() ? inputs_[i].constant : nullptr;
  }
  /// Elements of an integer input as int64 (from i32 or i64), where all are known.
  std::optional<std::vector<int64_t>> ints(size_t i) const;
  /// As `ints`, symbols allowed.
  std::optional<ShapeValue> shape_value(size_t i) const;

  void set_type(size_t output, TensorType type);
  void set_type(size_t output, DType dtype) { set_type(output, TensorType{dtype, std::nullopt}); }
  void set_type(size_t output, DType dtype, std::vector<Dim> shape) {
    set_type(output, TensorType{dtype, std::move(shape)});
  }
  void set_shape_value(size_t output, ShapeValue value);

  const TensorType& output_type(size_t i) const { return types_[i]; }
  const std::optional<ShapeValue>& output_shape_value(size_t i) const { return shape_values_[i]; }

  // Checks that most ops share; each throws Error{kInvalid} naming both sides.
  /// Passes where the rank is not known. max < 0: no limit.
  void require_rank(size_t input, int64_t min, int64_t max) const;
  /// Undefined dtypes pass.
  void require_same_dtype(size_t a, size_t b) const;
  void require_dtype(size_t input, std::span<const DType> allowed) const;
  /// For ops whose versions differ in it: at most `max` inputs are listed.
  void require_inputs(size_t max) const;
  /// `axis` in [-rank, rank) made non-negative.
  static int64_t normalize_axis(int64_t axis, int64_t rank, std::string_view what = "axis");

 private:
  AttrView attrs_;
  std::vector<Input> inputs_;
  std::vector<TensorType> types_;
  std::vector<std::optional<ShapeValue>> shape_values_;
};

/// NumPy's broadcasting of known, symbolic and unknown dims; throws Error{kInvalid} where two known
/// sizes disagree.
std::vector<Dim> broadcast_dims(std::span<const Dim> a, std::span<const Dim> b);
/// The same for whole shapes aligned at their last axes; an unknown rank gives an unknown rank.
std::optional<std::vector<Dim>> broadcast_shapes(const std::vector<Dim>* a,
                                                 const std::vector<Dim>* b);
/// One dim that is both; throws Error{kInvalid} where two known sizes disagree.
Dim unify_dim(const Dim& a, const Dim& b);

/// Elements that inference found beside types, by value index: what constant folding would compute
/// from shapes alone, and integers known only in part.
struct InferredElements {
  std::unordered_map<uint32_t, Tensor> tensors;
  std::unordered_map<uint32_t, ShapeValue> shape_values;
};

struct InferOptions {
  /// Sizes for symbols ("N" -> 1) and shapes for graph inputs by name ("x" -> [1,3,224,224]).
  std::unordered_map<std::string, int64_t> symbols = {};
  std::unordered_map<std::string, Shape> input_shapes = {};
  /// Compute small constants on the way (at most that many elements a tensor).
  int64_t fold_limit = 4096;
  /// A known size that disagrees with the inferred one is replaced, and `input_shapes` may change
  /// sizes that the file fixes. Off: both are errors.
  bool replace_declared = false;
  /// Where given, receives elements of values that nodes make.
  InferredElements* elements = nullptr;
};

/// Checks every node (check_node) and sets the type of every value that can be inferred, those in
/// the graphs of If, Loop and Scan too (what is wrong inside these is left for whoever runs them).
/// Types a file declares are checked against (a stale symbolic declaration gives way). Throws
/// Error{kInvalid} with the node's label as context, Error{kUnsupported} for a version of a known
/// op that is not understood, Error{kUsage} for `input_shapes` that do not fit; nodes of unknown
/// ops leave their outputs as they are. Nodes must be in topological order. Returns labels of nodes
/// whose output types stay unknown.
LAPIDARY_API std::vector<std::string> infer_types(Graph& graph, const InferOptions& options = {});

}  // namespace lapidary
