#include "src/ops/control_flow.h"

#include <algorithm>
#include <array>

#include "src/base/fail.h"
#include "src/base/text.h"

// Rows of the ops that hold graphs. Their bodies are typed by infer_types before `infer` is asked,
// so what is left here is how the bodies' outputs become the node's.

namespace lapidary {

namespace {

using Body = std::shared_ptr<const Graph>;

const TensorType& output_type(const Graph& body, size_t i) {
  return body.value(body.outputs()[i]).type;
}

void require_bool(const InferContext& context, size_t input) {
  constexpr std::array kBool{DType::kBool};
  context.require_dtype(input, kBool);
}

/// What is true of both: sizes that they agree in.
TensorType common_type(const TensorType& a, const TensorType& b) {
  if (a.dtype != DType::kUndefined && b.dtype != DType::kUndefined && a.dtype != b.dtype)
    fail_invalid("an output is {} one way and {} the other", a.text(), b.text());
  TensorType out{a.dtype == DType::kUndefined ? b.dtype : a.dtype, std::nullopt};
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) return out;
  out.shape = a.shape;
  for (size_t i = 0; i < a.shape->size(); ++i)
    if (!((*a.shape)[i] == (*b.shape)[i])) (*out.shape)[i] = Dim();
  return out;
}

void require_outputs(const Graph& body, std::string_view name, size_t count) {
  if (body.outputs().size() != count)
    fail_invalid("{} has {} outputs, the node needs {}", name, body.outputs().size(), count);
}

void require_inputs(const Graph& body, std::string_view name, size_t count) {
  if (body.inputs().size() != count)
    fail_invalid("{} has {} inputs, the node needs {}", name, body.inputs().size(), count);
}

void infer_if(InferContext& context) {
  require_bool(context, 0);
  const Node& node = context.attrs().node();
  const Graph& then_branch = body_of(node, "then_branch");
  const Graph& else_branch = body_of(node, "else_branch");
  require_outputs(then_branch, "then_branch", context.output_count());
  require_outputs(else_branch, "else_branch", context.output_count());
  for (size_t i = 0; i < context.output_count(); ++i)
    context.set_type(i, common_type(output_type(then_branch, i), output_type(else_branch, i)));
}

/// `type` with an axis inserted, or without a rank as it is.
TensorType stacked(TensorType type, int64_t axis, const Dim& size) {
  if (!type.shape) return type;
  const auto rank = static_cast<int64_t>(type.shape->size()) + 1;
  axis = InferContext::normalize_axis(axis, rank);
  type.shape->insert(type.shape->begin() + axis, size);
  return type;
}

void infer_loop(InferContext& context) {
  if (context.has_input(0)) {
    constexpr std::array kI64{DType::kI64};
    context.require_dtype(0, kI64);
  }
  if (context.has_input(1)) require_bool(context, 1);
  const Graph& body = body_of(context.attrs().node(), "body");
  require_inputs(body, "the body", std::max<size_t>(context.input_count(), 2));
  const size_t carried = body.inputs().size() - 2;
  require_outputs(body, "the body", context.output_count() + 1);
  if (context.output_count() < carried)
    fail_invalid("{} outputs, but {} values are carried around", context.output_count(), carried);
  for (size_t i = 0; i < context.output_count(); ++i)
    context.set_type(i, i < carried ? common_type(context.type(i + 2), output_type(body, i + 1))
                                    : stacked(output_type(body, i + 1), 0, Dim()));
}

void infer_scan(InferContext& context) {
  const ScanLayout layout =
      scan_layout(context.attrs(), context.input_count(), context.output_count());
  const Graph& body = body_of(context.attrs().node(), "body");
  require_inputs(body, "the body", context.input_count());
  require_outputs(body, "the body", context.output_count());
  Dim length;
  for (size_t i = layout.states; i < context.input_count(); ++i) {
    const auto* dims = context.shape(i);
    if (dims == nullptr) continue;
    const int64_t axis = InferContext::normalize_axis(layout.input_axes[i - layout.states],
                                                      static_cast<int64_t>(dims->size()));
    length = unify_dim(length, (*dims)[static_cast<size_t>(axis)]);
  }
  for (size_t i = 0; i < context.output_count(); ++i)
    context.set_type(i, i < layout.states ? common_type(context.type(i), output_type(body, i))
                                          : stacked(output_type(body, i),
                                                    layout.output_axes[i - layout.states], length));
}

void refuse_version_8(Graph&, NodeId) {
  fail_unsupported("version 8 of Scan has batches and lengths of its own; no rule rewrites it");
}

void default_dtype(TensorType& type, DType dtype) {
  if (type.dtype == DType::kUndefined) type.dtype = dtype;
}

std::vector<int64_t> axes_attr(const AttrView& attrs, std::string_view name, size_t count) {
  std::vector<int64_t> axes = attrs.get_ints(name, std::vector<int64_t>(count, 0));
  if (axes.size() != count)
    fail_invalid("{} has {} entries, expected {}", name, axes.size(), count);
  return axes;
}

std::vector<bool> directions_attr(const AttrView& attrs, std::string_view name, size_t count) {
  std::vector<bool> reversed;
  for (int64_t direction : axes_attr(attrs, name, count)) {
    if (direction != 0 && direction != 1)
      fail_invalid("{}: {} is neither 0 nor 1", name, direction);
    reversed.push_back(direction == 1);
  }
  return reversed;
}

}  // namespace

bool is_control_flow(const Node& node) {
  return node.is("If") || node.is("Loop") || node.is("Scan");
}

const Graph& body_of(const Node& node, std::string_view attr) {
  const Attr* found = node.attr(attr);
  const Body* body = found ? std::get_if<Body>(found) : nullptr;
  if (body == nullptr) fail_invalid("attribute '{}' is missing (a graph)", attr);
  return **body;
}

ScanLayout scan_layout(const AttrView& attrs, size_t inputs, size_t outputs) {
  const int64_t scanned = attrs.get_int("num_scan_inputs", 0);
  if (scanned < 1 || scanned > static_cast<int64_t>(inputs))
    fail_invalid("num_scan_inputs is {} of {} inputs", scanned, inputs);
  ScanLayout out;
  out.states = inputs - static_cast<size_t>(scanned);
  if (outputs < out.states)
    fail_invalid("{} outputs, but {} values are carried around", outputs, out.states);
  const auto count = static_cast<size_t>(scanned), stacked_count = outputs - out.states;
  out.input_axes = axes_attr(attrs, "scan_input_axes", count);
  out.input_reversed = directions_attr(attrs, "scan_input_directions", count);
  out.output_axes = axes_attr(attrs, "scan_output_axes", stacked_count);
  out.output_reversed = directions_attr(attrs, "scan_output_directions", stacked_count);
  return out;
}

void type_body_inputs(const Graph& graph, NodeId id, Graph& body) {
  const Node& node = graph.node(id);
  const auto& inputs = body.inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    TensorType& type = body.mutable_value(inputs[i]).type;
    if (node.is("Loop") && i < 2)
      default_dtype(type, i == 0 ? DType::kI64 : DType::kBool);
    else if (i < node.inputs.size() && node.inputs[i])
      default_dtype(type, graph.value(node.inputs[i]).type.dtype);
  }
}

const OpDef& op_If() {
  static const OpDef def{
      .name = "If",
      .versions = {1, 11, 13, 16, 19, 21, 23, 24, 25},
      .inputs = {1, 1},
      .outputs = {1, -1},
      .attrs = {{"then_branch", AttrKind::kGraph, true}, {"else_branch", AttrKind::kGraph, true}},
      .infer = infer_if,
      .foldable = false,
      .half_since = kNoHalfForm};
  return def;
}

const OpDef& op_Loop() {
  static const OpDef def{.name = "Loop",
                         .versions = {1, 11, 13, 16, 19, 21, 23, 24, 25},
                         .inputs = {0, -1},
                         .outputs = {1, -1},
                         .attrs = {{"body", AttrKind::kGraph, true}},
                         .infer = infer_loop,
                         .foldable = false,
                         .half_since = kNoHalfForm};
  return def;
}

const OpDef& op_Scan() {
  static const OpDef def{.name = "Scan",
                         .versions = {9, 11, 16, 19, 21, 23, 24, 25},
                         .later = {8},  // batches and sequence lengths of its own
                         .inputs = {1, -1},
                         .outputs = {1, -1},
                         .attrs = {{"body", AttrKind::kGraph, true},
                                   {"num_scan_inputs", AttrKind::kInt, true},
                                   {"scan_input_axes", AttrKind::kInts},
                                   {"scan_input_directions", AttrKind::kInts},
                                   {"scan_output_axes", AttrKind::kInts},
                                   {"scan_output_directions", AttrKind::kInts}},
                         .infer = infer_scan,
                         .foldable = false,
                         .half_since = kNoHalfForm,
                         .upgrades = {{9, refuse_version_8}}};
  return def;
}

}  // namespace lapidary
