// y = f(x) with y = x for every x   =>   x
// Identity, Dropout at inference, Cast to the same type, Reshape/Expand/Flatten to the shape it
// has, Transpose in order, Squeeze/Unsqueeze of nothing, Pad by zero, Slice of everything, Concat
// and Sum of one, Tile by one, Resize by one, 1x1 pooling, LeakyRelu of slope 1, x + 0, x - 0, x *
// 1, x / 1, x ^ 1.
#include <algorithm>
#include <limits>

#include "src/passes/edit.h"
#include "src/passes/pass.h"
#include "src/passes/qdq/prepare.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

bool same_type(const Graph& graph, ValueId a, ValueId b) {
  const TensorType &x = graph.value(a).type, &y = graph.value(b).type;
  return x.dtype != DType::kUndefined && x.dtype == y.dtype;
}

// The same shape for every binding of the symbols.
bool same_shape(const Graph& graph, ValueId a, ValueId b) {
  const auto &x = graph.value(a).type.shape, &y = graph.value(b).type.shape;
  if (!x || !y || x->size() != y->size()) return false;
  return std::equal(x->begin(), x->end(), y->begin(), [](const Dim& p, const Dim& q) {
    return p == q && (p.known() || !p.symbol.empty());
  });
}

bool all_are(const std::optional<std::vector<int64_t>>& list, int64_t value) {
  return list && std::all_of(list->begin(), list->end(), [&](int64_t v) { return v == value; });
}

bool ints_all_are(const Graph& graph, NodeId id, std::string_view attr, size_t slot,
                  int64_t value) {
  if (graph.node(id).attr(attr) != nullptr) return all_are(ints_attr(graph, id, attr), value);
  return input_of(graph, id, slot) &&
         all_are(constant_ints(graph, input_of(graph, id, slot)), value);
}

bool transposes_nothing(const Graph& graph, NodeId id) {
  const auto perm = ints_attr(graph, id, "perm");
  if (perm.empty())
    return rank_of(graph, graph.node(id).inputs[0]) == 0 ||
           rank_of(graph, graph.node(id).inputs[0]) == 1;
  return std::is_sorted(perm.begin(), perm.end());
}

bool slices_nothing(const Graph& graph, NodeId id) {
  // A slice that keeps every known size keeps everything; steps of -1 would reverse.
  if (!same_shape(graph, graph.node(id).inputs[0], output_of(graph, id))) return false;
  const ValueId steps = input_of(graph, id, 4);
  return !steps || all_are(constant_ints(graph, steps), 1);
}

bool drops_nothing(const Graph& graph, NodeId id) {
  // The mask, where asked for, or a training mode that is not known to be off: it stays.
  const auto& outputs = graph.node(id).outputs;
  for (size_t i = 1; i < outputs.size(); ++i)
    if (outputs[i] && graph.use_count(outputs[i]) > 0) return false;
  const ValueId training = input_of(graph, id, 2);
  if (!training) return int_attr(graph, id, "is_test", 1) != 0;
  const Tensor* mode = graph.constant(training);
  return mode && mode->dtype() == DType::kBool && mode->size() == 1 && !mode->data<bool>()[0];
}

bool clips_nothing(const Graph& graph, NodeId id) {
  const auto bounds = clip_bounds(graph, id);
  // Before opset 11 absent bounds are the lowest and largest floats.
  return bounds && bounds->low == -std::numeric_limits<float>::infinity() &&
         bounds->high == std::numeric_limits<float>::infinity();
}

bool pools_nothing(const Graph& graph, NodeId id) {
  const auto is_ones = [](const std::vector<int64_t>& v) {
    return std::all_of(v.begin(), v.end(), [](int64_t x) { return x == 1; });
  };
  const auto kernel = ints_attr(graph, id, "kernel_shape");
  const auto pads = ints_attr(graph, id, "pads");
  return !kernel.empty() && is_ones(kernel) && is_ones(ints_attr(graph, id, "strides")) &&
         std::all_of(pads.begin(), pads.end(), [](int64_t p) { return p == 0; }) &&
         string_attr(graph, id, "auto_pad", "NOTSET") != "SAME_UPPER" &&
         string_attr(graph, id, "auto_pad", "NOTSET") != "SAME_LOWER" &&
         graph.node(id).outputs.size() == 1;
}

/// Scales of 1 on every axis, as an attribute (Upsample-7) or the input before `sizes`; true where
/// sizes are given instead.
bool scales_are_one(const Graph& graph, NodeId id) {
  const auto is_one = [](float scale) { return scale == 1; };
  const Node& node = graph.node(id);
  if (const Attr* attr = node.attr("scales"))
    if (const auto* scales = std::get_if<std::vector<float>>(attr))
      return std::all_of(scales->begin(), scales->end(), is_one);
  const ValueId input = input_of(graph, id, node.inputs.size() > 2 ? 2 : 1);
  if (!input) return true;
  const auto scales = constant_floats(graph, input);
  return scales && std::all_of(scales->begin(), scales->end(), is_one);
}

bool resizes_nothing(const Graph& graph, NodeId id) {
  const ValueId x = graph.node(id).inputs.at(0);
  // Equal sizes are not enough: 5 scaled by 1.1 is 5 again, of other positions, and
  // tf_crop_and_resize reads a region of interest.
  return same_shape(graph, x, output_of(graph, id)) && scales_are_one(graph, id) &&
         string_attr(graph, id, "coordinate_transformation_mode", "half_pixel") !=
             "tf_crop_and_resize" &&
         string_attr(graph, id, "mode", "nearest") != "cubic";
}

bool is_single(const Graph& graph, ValueId value) {
  const Tensor* constant = graph.constant(value);
  return constant != nullptr && constant->size() == 1;
}

// Slot of the input that comes out unchanged because the other is neutral: -1 where neither is.
int neutral_operand(const Graph& graph, NodeId id) {
  const bool adds = is_op(graph, id, "Add"), multiplies = is_op(graph, id, "Mul");
  const bool subtracts = is_op(graph, id, "Sub"), divides = is_op(graph, id, "Div");
  if (!adds && !multiplies && !subtracts && !divides && !is_op(graph, id, "Pow")) return -1;
  const float neutral = adds || subtracts ? 0.0f : 1.0f;
  for (int slot = 1; slot >= (adds || multiplies ? 0 : 1); --slot) {
    const auto& inputs = graph.node(id).inputs;
    const Tensor* constant = graph.constant(inputs[static_cast<size_t>(slot)]);
    const ValueId other = inputs[static_cast<size_t>(1 - slot)];
    // x + (+0) turns -0 into +0; nothing reads the sign of a zero that this library knows of.
    const auto elements = constant_floats(graph, inputs[static_cast<size_t>(slot)]);
    if (constant == nullptr || !elements || constant->size() == 0) continue;
    if (std::any_of(elements->begin(), elements->end(), [&](float v) { return v != neutral; }))
      continue;
    const bool keeps_shape = constant->size() == 1 ? constant->rank() <= rank_of(graph, other)
                                                   : same_shape(graph, other, output_of(graph, id));
    if (keeps_shape && same_type(graph, other, output_of(graph, id))) return 1 - slot;
  }
  return -1;
}

// starts 0, ends INT64_MAX, steps 1, whatever the shape.
bool slices_all(const Graph& graph, NodeId id) {
  const auto& inputs = graph.node(id).inputs;
  const ValueId steps = input_of(graph, id, 4);
  return inputs.size() >= 3 && all_are(constant_ints(graph, inputs[1]), 0) &&
         all_are(constant_ints(graph, inputs[2]), std::numeric_limits<int64_t>::max()) &&
         (!steps || all_are(constant_ints(graph, steps), 1));
}

// Slot of the input that is the output, or -1.
using Unchanged = int(const Graph& graph, NodeId id);

bool has_ends(const Node& node) {
  return !node.inputs.empty() && !node.outputs.empty() && node.inputs[0] && node.outputs[0];
}

int unchanged_before_merging(const Graph& graph, NodeId id) {
  const auto is = [&](std::string_view op) { return is_op(graph, id, op); };
  const Node& node = graph.node(id);
  if (!has_ends(node)) return -1;
  const ValueId x = node.inputs[0], y = node.outputs[0];
  if (is("Identity") || (is("Dropout") && drops_nothing(graph, id)) ||
      (is("Cast") && same_type(graph, x, y)) ||
      (is("Expand") && static_shape(graph, x) && same_shape(graph, x, y)) ||
      (is("Slice") && slices_all(graph, id)))
    return 0;
  const int slot = is("Pow") ? -1 : neutral_operand(graph, id);
  return slot >= 0 && is_single(graph, node.inputs[static_cast<size_t>(1 - slot)]) ? slot : -1;
}

int unchanged_input(const Graph& graph, NodeId id) {
  const auto is = [&](std::string_view op) { return is_op(graph, id, op); };
  const Node& node = graph.node(id);
  if (!has_ends(node)) return -1;
  const ValueId x = node.inputs[0], y = node.outputs[0];
  const bool nothing =
      ((is("Reshape") || is("Expand") || is("Flatten")) && same_shape(graph, x, y)) ||
      (is("Transpose") && transposes_nothing(graph, id)) ||
      ((is("Squeeze") || is("Unsqueeze")) && same_shape(graph, x, y)) ||
      (is("Pad") && ints_all_are(graph, id, "pads", 1, 0)) ||
      (is("Slice") && slices_nothing(graph, id)) ||
      ((is("Concat") || is("Sum") || is("Max") || is("Min") || is("Mean")) &&
       node.inputs.size() == 1) ||
      (is("Tile") && input_of(graph, id, 1) && all_are(constant_ints(graph, node.inputs[1]), 1)) ||
      ((is("Resize") || is("Upsample")) && resizes_nothing(graph, id)) ||
      ((is("MaxPool") || is("AveragePool")) && pools_nothing(graph, id)) ||
      (is("Clip") && clips_nothing(graph, id)) ||
      (is("LeakyRelu") && float_attr(graph, id, "alpha", 0.01f) == 1.0f);
  if (nothing) return 0;
  const int slot = unchanged_before_merging(graph, id);
  return slot >= 0 ? slot : neutral_operand(graph, id);
}

int64_t remove_unchanged(Graph& graph, Unchanged* unchanged) {
  return rewrite(graph, [unchanged](Graph& g, NodeId id) {
    const int slot = unchanged(g, id);
    if (slot < 0) return false;
    const ValueId x = g.node(id).inputs[static_cast<size_t>(slot)];
    // Between a QuantizeLinear and its reader a node may stand for a placement decision: types
    // agree, and a graph output that is also an input or a constant needs a node that makes it.
    if (!can_replace(g, output_of(g, id), x)) return false;
    const auto& outputs = g.node(id).outputs;
    for (size_t i = 1; i < outputs.size(); ++i)
      if (outputs[i] && g.use_count(outputs[i]) > 0) return false;
    bypass(g, id, x);
    return true;
  });
}

}  // namespace

PassResult remove_noops(Graph& graph, const PassOptions&) {
  return {remove_unchanged(graph, unchanged_input), {}};
}

int64_t remove_noops_before_merging(Graph& graph) {
  return remove_unchanged(graph, unchanged_before_merging);
}

}  // namespace lapidary
