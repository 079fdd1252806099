#include "src/exec/samples.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <unordered_map>
#include <vector>

#include "lapidary/error.h"
#include "src/ops/infer.h"

namespace lapidary::exec {

namespace {

/// A constant that holds the batch's size, and what stands there for fewer samples.
struct Replacement {
  NodeId node;
  size_t slot;
  Tensor constant;
};

/// What is known after the nodes so far. A value that depends on the model's inputs has
/// `samples` x `rows` rows, those of one sample after those of another; others depend on none.
struct Samples {
  const Graph& graph;
  int64_t samples, fewer;
  std::unordered_map<uint32_t, int64_t> rows = {};  // by value; of one sample
  std::vector<Replacement> replacements = {};
};

/// One node as its rule sees it. Types are static, no tensor is empty.
class NodeSamples {
 public:
  NodeSamples(Samples& all, NodeId id, std::span<const size_t> slots)
      : all_(all), id_(id), node_(all.graph.node(id)), slots_(slots) {}

  std::span<const size_t> slots() const { return slots_; }
  std::string_view op() const { return node_.op; }
  bool microsoft() const { return node_.domain == "com.microsoft"; }
  AttrView attrs() const { return {node_, resolve_op(all_.graph, id_).version}; }
  size_t input_count() const { return node_.inputs.size(); }
  bool has(size_t slot) const { return slot < input_count() && node_.inputs[slot].valid(); }
  bool varies(size_t slot) const {
    return has(slot) && all_.rows.contains(node_.inputs[slot].index);
  }
  Shape shape(size_t slot) const { return type_shape(node_.inputs[slot]); }
  Shape result() const { return type_shape(node_.outputs[0]); }
  const Tensor* constant(size_t slot) const {
    return has(slot) ? all_.graph.constant(node_.inputs[slot]) : nullptr;
  }
  std::optional<std::vector<int64_t>> ints(size_t slot) const {
    const Tensor* t = constant(slot);
    if (t == nullptr || (t->dtype() != DType::kI64 && t->dtype() != DType::kI32))
      return std::nullopt;
    if (t->dtype() == DType::kI32)
      return std::vector<int64_t>(t->data<int32_t>().begin(), t->data<int32_t>().end());
    return std::vector<int64_t>(t->data<int64_t>().begin(), t->data<int64_t>().end());
  }
  /// One number for all samples, or absent.
  bool single(size_t slot) const {
    return !has(slot) || (!varies(slot) && element_count(shape(slot)) == 1);
  }
  int64_t normalized(int64_t axis, size_t slot = 0) const {
    return axis < 0 ? axis + static_cast<int64_t>(shape(slot).size()) : axis;
  }
  bool later(std::span<const int64_t> axes) const {
    return !axes.empty() && std::all_of(axes.begin(), axes.end(),
                                        [&](int64_t axis) { return normalized(axis) > 0; });
  }

  /// All outputs have `rows` rows, those of the samples in turn.
  bool makes(int64_t rows) {
    if (rows % all_.samples != 0) return false;
    for (const ValueId v : node_.outputs) {
      if (!v) continue;
      const Shape shape = type_shape(v);
      if (shape.empty() || shape[0] != rows) return false;
      all_.rows[v.index] = rows / all_.samples;
    }
    return true;
  }
  bool makes_one(int64_t rows) { return node_.outputs.size() == 1 && makes(rows); }
  /// A constant of `rows` rows that are the same for every sample; fewer are read in its place.
  bool repeats(size_t slot, int64_t rows) {
    const Tensor* t = constant(slot);
    if (t == nullptr || rows % all_.samples != 0 || dtype_size(t->dtype()) == 0) return false;
    const size_t bytes = t->size_bytes() / static_cast<size_t>(all_.samples);
    const auto* elements = static_cast<const char*>(t->raw());
    for (int64_t i = 1; i < all_.samples; ++i)
      if (std::memcmp(elements, elements + static_cast<size_t>(i) * bytes, bytes) != 0)
        return false;
    Shape shape = t->shape();
    shape[0] = rows / all_.samples * all_.fewer;
    Tensor some(t->dtype(), shape);
    std::memcpy(some.mutable_raw(), elements, some.size_bytes());
    replace(slot, std::move(some));
    return true;
  }
  /// The shape of the result that a constant states, for fewer samples.
  void restate(size_t slot) {
    Shape shape = result();
    shape[0] = shape[0] / all_.samples * all_.fewer;
    replace(slot, Tensor::of<int64_t>({static_cast<int64_t>(shape.size())}, shape));
  }
  int64_t samples() const { return all_.samples; }

 private:
  Shape type_shape(ValueId id) const { return all_.graph.value(id).type.static_shape(); }
  void replace(size_t slot, Tensor constant) {
    all_.replacements.push_back({id_, slot, std::move(constant)});
  }

  Samples& all_;
  NodeId id_;
  const Node& node_;
  std::span<const size_t> slots_;
};

// Rules: true where the node keeps samples apart; its outputs' rows are then known.

/// Row i of the result is a function of row i of input 0.
bool by_rows(NodeSamples& n) {
  const bool trains =
      n.attrs().get_int("training_mode", 0) != 0 || (n.op() == "Dropout" && n.has(2));
  return !trains && n.makes_one(n.shape(0)[0]);
}

/// QuantizeLinear, DequantizeLinear: a scale for all, or along another axis.
bool by_scaled_rows(NodeSamples& n) {
  const AttrView attrs = n.attrs();
  const bool along_later = n.shape(1).size() == 1 && attrs.get_int("block_size", 0) == 0 &&
                           n.normalized(attrs.get_int("axis", 1)) > 0;
  return (n.single(1) || along_later) && n.makes_one(n.shape(0)[0]);
}

/// An operand of the result's rows, or one that all of them share.
bool broadcasts(NodeSamples& n, size_t slot, const Shape& result) {
  const Shape shape = n.shape(slot);
  const bool same_rank = shape.size() == result.size();
  if (n.varies(slot)) return same_rank && shape[0] == result[0];
  return !same_rank || shape[0] == 1 || n.repeats(slot, result[0]);
}

bool by_broadcasting(NodeSamples& n) {
  const Shape result = n.result();
  if (result.empty()) return false;
  const auto is_operand = [&](size_t slot) {
    return n.slots().empty() ||
           std::find(n.slots().begin(), n.slots().end(), slot) != n.slots().end();
  };
  for (size_t slot = 0; slot < n.input_count(); ++slot)
    if (n.has(slot) && !(is_operand(slot) ? broadcasts(n, slot, result) : n.single(slot)))
      return false;
  return n.makes_one(result[0]);
}

/// One axis, not the first, is normalized or summed over or cut.
bool by_later_axis(NodeSamples& n) {
  const AttrView attrs = n.attrs();
  int64_t otherwise = -1;
  if (n.op() == "Split") otherwise = 0;
  if (n.op() == "Softmax" || n.op() == "LogSoftmax") otherwise = attrs.version() < 13 ? 1 : -1;
  if (n.op() == "QLinearSoftmax") otherwise = attrs.get_int("opset", 13) < 13 ? 1 : -1;
  return n.normalized(attrs.get_int("axis", otherwise)) > 0 && n.makes(n.shape(0)[0]);
}

bool by_flattening(NodeSamples& n) {
  return n.normalized(n.attrs().get_int("axis", 1)) > 0 && n.makes_one(n.result()[0]);
}

bool by_later_axes(NodeSamples& n) {
  const std::vector<int64_t> axes =
      n.has(1) ? n.ints(1).value_or(std::vector<int64_t>()) : n.attrs().get_ints("axes");
  return n.later(axes) && n.makes_one(n.shape(0)[0]);
}

bool by_later_slices(NodeSamples& n) {
  const std::vector<int64_t> axes = n.attrs().version() < 10
                                        ? n.attrs().get_ints("axes")
                                        : n.ints(3).value_or(std::vector<int64_t>());
  return n.later(axes) && n.makes_one(n.shape(0)[0]);
}

bool by_later_transpose(NodeSamples& n) {
  const std::vector<int64_t> perm = n.attrs().get_ints("perm");
  return !perm.empty() && perm[0] == 0 && n.makes_one(n.shape(0)[0]);
}

bool by_joining(NodeSamples& n) {
  const Shape result = n.result();
  const int64_t axis = n.attrs().get_int("axis", 0);
  if ((axis < 0 ? axis + static_cast<int64_t>(result.size()) : axis) <= 0) return false;
  const size_t first = n.microsoft() ? 2 : 0, step = n.microsoft() ? 3 : 1;  // x, scale, zero point
  for (size_t slot = 0; slot < n.input_count(); ++slot) {
    const bool operand = slot >= first && (slot - first) % step == 0;
    const bool fits = !operand         ? n.single(slot)
                      : n.varies(slot) ? n.shape(slot)[0] == result[0]
                                       : n.repeats(slot, result[0]);
    if (!fits) return false;
  }
  return n.makes_one(result[0]);
}

bool by_later_padding(NodeSamples& n) {
  const size_t rank = n.shape(0).size();
  const std::vector<int64_t> pads =
      n.has(1) ? n.ints(1).value_or(std::vector<int64_t>()) : n.attrs().get_ints("pads");
  return !n.has(3) && pads.size() == 2 * rank && pads[0] == 0 && pads[rank] == 0 &&
         n.makes_one(n.shape(0)[0]);
}

/// Elements of each row by constant indices, or rows of a constant by each row of indices.
bool by_gathering(NodeSamples& n) {
  const int64_t axis = n.normalized(n.attrs().get_int("axis", 0));
  if (n.varies(0) && n.varies(1)) return false;
  if (n.varies(0)) return axis > 0 && n.makes_one(n.shape(0)[0]);
  return axis == 0 && n.makes_one(n.shape(1)[0]);
}

/// Scale 1 along the first axis, where every mode that is let pass gives the row itself.
bool by_resizing(NodeSamples& n) {
  const AttrView attrs = n.attrs();
  const std::string mode = attrs.get_string("coordinate_transformation_mode", "half_pixel");
  if (mode == "tf_crop_and_resize" || mode == "align_corners" || attrs.has("axes") ||
      attrs.get_string("keep_aspect_ratio_policy", "stretch") != "stretch")
    return false;
  const bool old = n.op() == "Upsample" || attrs.version() < 11;  // scales second, no sizes
  const size_t scales = old ? 1 : 2;
  const int64_t rows = n.shape(0)[0];
  if (!old && n.has(3) && element_count(n.shape(3)) > 0) {
    n.restate(3);
  } else if (n.has(scales)) {
    const Tensor* given = n.constant(scales);
    if (given == nullptr || given->dtype() != DType::kF32 || given->size() == 0 ||
        given->data<float>()[0] != 1.0f)
      return false;
  } else {
    const std::vector<float> given = attrs.get_floats("scales");
    if (given.empty() || given[0] != 1.0f) return false;
  }
  return n.makes_one(rows);
}

/// Elements stay in order, so a sample's stay together.
bool by_reshaping(NodeSamples& n) {
  const Shape result = n.result();
  if (result.empty() || result[0] % n.samples() != 0) return false;
  n.restate(1);
  return n.makes_one(result[0]);
}

bool by_expanding(NodeSamples& n) {
  if (!broadcasts(n, 0, n.result())) return false;
  n.restate(1);
  return n.makes_one(n.result()[0]);
}

/// Y = A B + C, rows of A by rows of A.
bool by_gemm(NodeSamples& n) {
  const bool quantized = n.microsoft();  // A, its scale and zero point, B, its two, C, those of Y
  const size_t c = quantized ? 6 : 2;
  if (quantized && !(n.single(1) && n.single(2) && n.single(7) && n.single(8))) return false;
  return n.attrs().get_int("transA", 0) == 0 && (!n.has(c) || broadcasts(n, c, n.result())) &&
         n.makes_one(n.shape(0)[0]);
}

/// Matrices of A times those of B: a stack on the first axis, or A alone of rank 2.
bool by_products(NodeSamples& n) {
  const size_t a = n.slots()[0], b = n.slots()[1];
  const Shape left = n.shape(a), right = n.shape(b), result = n.result();
  for (size_t slot = 0; slot < n.input_count(); ++slot) {
    if (slot == a || slot == b || !n.has(slot)) continue;
    // Scales and zero points of A and Y: one each. Those of B and the bias: by column.
    const bool of_b = n.op() == "QLinearMatMul"          ? slot == 4 || slot == 5
                      : n.op() == "MatMulIntegerToFloat" ? slot == 3 || slot == 5 || slot == 6
                                                         : slot == 3;
    if (!n.single(slot) && !(of_b && n.shape(slot).size() == 1)) return false;
  }
  if (left.size() < 2 || right.size() < 2) return false;
  if (n.varies(a) && !n.varies(b) && right.size() == 2) return n.makes_one(left[0]);
  return result.size() >= 3 && broadcasts(n, a, result) && broadcasts(n, b, result) &&
         n.makes_one(result[0]);
}

struct Rule {
  std::string_view domain, op;
  bool (*apply)(NodeSamples&);
  std::vector<size_t> slots;  ///< empty: all
};

const Rule* find_rule(const Node& node) {
  static const std::vector<Rule> kRules = {
#define LAPIDARY_SAMPLES(domain, op, rule, ...) {domain, op, rule, __VA_ARGS__},
#include "src/exec/samples.def"
#undef LAPIDARY_SAMPLES
  };
  for (const Rule& rule : kRules)
    if (node.is(rule.op, rule.domain)) return &rule;
  return nullptr;
}

bool known_and_not_empty(const Graph& graph, ValueId id) {
  const TensorType& type = graph.value(id).type;
  return type.dtype != DType::kUndefined && type.dtype != DType::kString && type.is_static() &&
         element_count(type.static_shape()) > 0;
}

bool take_node(Samples& all, NodeId id) {
  const Graph& graph = all.graph;
  const Node& node = graph.node(id);
  const ResolvedOp op = resolve_op(graph, id);
  if (!op || !op.def->foldable || !node.captures.empty() || node.outputs.empty() ||
      !node.outputs[0])
    return false;
  bool varies = false;
  for (const ValueId v : node.inputs) varies = varies || (v && all.rows.contains(v.index));
  if (!varies) return true;
  for (const auto* values : {&node.inputs, &node.outputs})
    for (const ValueId v : *values)
      // Absent optional tensors are sometimes given as empty constants.
      if (v && !known_and_not_empty(graph, v) && graph.constant(v) == nullptr) return false;
  const Rule* rule = find_rule(node);
  if (rule == nullptr) return false;
  NodeSamples seen(all, id, rule->slots);
  for (size_t slot = 0; slot < node.inputs.size(); ++slot)
    if (seen.varies(slot) && !rule->slots.empty() &&
        std::find(rule->slots.begin(), rule->slots.end(), slot) == rule->slots.end())
      return false;
  return rule->apply(seen);
}

}  // namespace

int64_t sample_count(const Graph& graph) {
  int64_t samples = 0;
  for (const ValueId id : graph.inputs()) {
    if (!known_and_not_empty(graph, id)) return 0;
    const Shape shape = graph.value(id).type.static_shape();
    if (shape.empty() || (samples != 0 && shape[0] != samples)) return 0;
    samples = shape[0];
  }
  return samples;
}

std::optional<Graph> with_fewer_samples(const Graph& graph, int64_t samples, int64_t fewer) {
  Samples all{graph, samples, fewer};
  for (const ValueId id : graph.inputs()) all.rows[id.index] = 1;
  for (const NodeId id : graph.nodes())
    if (!take_node(all, id)) return std::nullopt;
  for (const ValueId id : graph.outputs())
    if (!all.rows.contains(id.index)) return std::nullopt;

  Graph out = graph;
  for (const Replacement& each : all.replacements)
    out.set_input(each.node, each.slot,
                  out.add_constant(out.unique_name(out.node(each.node).op + "_for_fewer_samples"),
                                   each.constant));
  InferOptions options;
  options.replace_declared = true;
  const auto shape_for_fewer = [&](ValueId id) {
    Shape shape = graph.value(id).type.static_shape();
    shape[0] = shape[0] / samples * fewer;
    return shape;
  };
  for (const ValueId id : graph.inputs())
    options.input_shapes.emplace(graph.value(id).name, shape_for_fewer(id));
  // The op table has to agree.
  try {
    infer_types(out, options);
  } catch (const Error&) {
    return std::nullopt;
  }
  for (const auto& [index, rows] : all.rows) {
    const ValueId id{index};
    if (out.value(id).type != tensor_type(graph.value(id).type.dtype, shape_for_fewer(id)))
      return std::nullopt;
  }
  return out;
}

}  // namespace lapidary::exec
