#include "src/exec/half.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/ops/infer.h"
#include "src/ops/opdef.h"

namespace lapidary::exec {

namespace {

/// Ops whose results are elements of their inputs (or zero): rounded inputs give rounded results.
constexpr std::array<std::string_view, 22> kMovers = {
    "Abs",     "Concat",        "DepthToSpace", "Dropout",  "Expand",       "Flatten",
    "Gather",  "GlobalMaxPool", "Identity",     "Max",      "MaxPool",      "Min",
    "Neg",     "Relu",          "Reshape",      "Slice",    "SpaceToDepth", "Split",
    "Squeeze", "Tile",          "Transpose",    "Unsqueeze"};

bool moves(const Graph& g, NodeId id) {
  const Node& node = g.node(id);
  return node.domain.empty() && std::find(kMovers.begin(), kMovers.end(), node.op) != kMovers.end();
}

bool casts_to_half(const Node& node) {
  const Attr* to = node.is("Cast") ? node.attr("to") : nullptr;
  const auto* type = to != nullptr ? std::get_if<int64_t>(to) : nullptr;
  return type != nullptr && *type == static_cast<int64_t>(DType::kF16);
}

Tensor widened(const Tensor& half) {
  Tensor out(DType::kF32, half.shape());
  const auto from = half.data<Half>();
  auto to = out.mutable_data<float>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = from_half(from[i]);
  return out;
}

Tensor rounded(const Tensor& floats) {
  Tensor out(DType::kF32, floats.shape());
  const auto from = floats.data<float>();
  auto to = out.mutable_data<float>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = from_half(to_half(from[i]));
  return out;
}

bool has_subgraph(const Node& node) {
  return std::any_of(node.attrs.begin(), node.attrs.end(), [](const auto& attr) {
    return std::holds_alternative<std::shared_ptr<const Graph>>(attr.second) ||
           std::holds_alternative<std::vector<std::shared_ptr<const Graph>>>(attr.second);
  });
}

/// Ops whose attributes or results name a type in a way that only they know.
bool names_types(const Node& node) {
  return node.op == "BitCast" || node.op.starts_with("Sequence") ||
         node.op.starts_with("Optional") || node.attr("dtype") != nullptr ||
         node.attr("output_dtype") != nullptr;
}

bool can_widen(const Graph& g) {
  for (const NodeId id : g.nodes())
    if (!g.node(id).captures.empty() || has_subgraph(g.node(id)) || names_types(g.node(id)))
      return false;
  return std::none_of(g.inputs().begin(), g.inputs().end(),
                      [&](ValueId v) { return g.is_output(v); });
}

NodeId add_cast(Graph& g, ValueId from, ValueId to, NodeId before) {
  Node cast;
  cast.op = "Cast";
  cast.name = g.unique_node_name(g.value(to).name + "_cast");
  cast.inputs = {from};
  cast.outputs = {to};
  cast.attrs = {{"to", static_cast<int64_t>(g.value(to).type.dtype)}};
  return g.add_node(std::move(cast), before);
}

TensorType with_dtype(const Graph& g, ValueId v, DType dtype) {
  TensorType type = g.value(v).type;
  type.dtype = dtype;
  return type;
}

ValueId twin_of(Graph& g, ValueId v, DType dtype) {
  const std::string suffix = std::string("_") + dtype_name(dtype);
  return g.add_value(g.unique_name(g.value(v).name + suffix), with_dtype(g, v, dtype));
}

/// node -> v   =>   node -> Cast to FP16 -> Cast to FP32 -> v
void round_result(Graph& g, ValueId v) {
  const NodeId node = g.value(v).producer;
  const uint32_t slot = g.value(v).producer_slot;
  const NodeId next = g.next(node);
  const ValueId sum = twin_of(g, v, DType::kF32);
  g.set_output(node, slot, sum);
  const ValueId half = twin_of(g, v, DType::kF16);
  add_cast(g, sum, half, next);
  add_cast(g, half, v, next);
}

/// Uses of an input read `made`, which Casts in front of all nodes make of it.
void put_behind(Graph& g, ValueId input, bool through_half) {
  const NodeId first = g.nodes().front();
  const ValueId made = twin_of(g, input, DType::kF32);
  for (const Use& use : std::vector<Use>(g.value(input).uses))
    if (!use.capture) g.set_input(use.node, use.slot, made);
  ValueId from = input;
  if (through_half) {
    from = twin_of(g, input, DType::kF16);
    add_cast(g, input, from, first);
  }
  add_cast(g, from, made, first);
}

void widen_attrs(Graph& g, NodeId id) {
  if (casts_to_half(g.node(id))) g.set_attr(id, "to", static_cast<int64_t>(DType::kF32));
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, attr] : g.node(id).attrs)
    if (const auto* tensor = std::get_if<Tensor>(&attr); tensor != nullptr)
      if (tensor->dtype() == DType::kF16) tensors.emplace_back(name, widened(*tensor));
  for (auto& [name, tensor] : tensors) g.set_attr(id, name, std::move(tensor));
}

/// An FP16 output, whose value is FP32 now: its name goes to an FP16 twin.
ValueId narrow_output(Graph& g, ValueId v) {
  const std::string name = g.value(v).name;
  const ValueId half = twin_of(g, v, DType::kF16);
  add_cast(g, v, half, {});
  g.rename_value(v, g.unique_name(name + "_float32"));
  g.rename_value(half, name);
  return half;
}

/// A scale of integers, which no arithmetic on floats rounds.
bool is_scale(const Graph& g, ValueId constant) {
  const auto& uses = g.value(constant).uses;
  return std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
    const ResolvedOp op = resolve_op(g, use.node);
    return op && op.def->role == QuantRole::kInteger;
  });
}

/// Read only as what stays float32 in any arithmetic: the factors of Resize, a LayerNormalization's
/// parameters, not the data that such ops read first.
bool is_parameter(const Graph& g, ValueId v) {
  const auto& uses = g.value(v).uses;
  return !uses.empty() && std::all_of(uses.begin(), uses.end(), [&](const Use& use) {
    return !use.capture && use.slot > 0 && !resolve_op(g, use.node).has_half_form();
  });
}

}  // namespace

bool has_half_results(const Graph& g) {
  for (const ValueId v : g.values())
    if (g.value(v).type.dtype == DType::kF16 && !g.value(v).constant) return true;
  const auto nodes = g.nodes();
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](NodeId id) { return casts_to_half(g.node(id)); });
}

bool has_half(const Graph& g) {
  const auto values = g.values();
  return has_half_results(g) || std::any_of(values.begin(), values.end(), [&](ValueId v) {
           return g.value(v).type.dtype == DType::kF16;
         });
}

void widen_half(Graph& g, bool rounds) {
  if (!can_widen(g)) return;
  infer_types(g);
  std::map<ValueId, ValueId> narrowed;  // FP16 outputs, and what will bear their name
  for (const ValueId v : g.outputs())
    if (g.value(v).type.dtype == DType::kF16) narrowed[v] = {};
  std::vector<ValueId> results;
  for (const ValueId v : g.values()) {
    if (g.value(v).type.dtype != DType::kF16 || (g.is_input(v) && !g.value(v).constant)) continue;
    Value& value = g.mutable_value(v);
    value.type.dtype = DType::kF32;
    if (value.constant) value.constant = widened(*value.constant);
    if (value.producer) results.push_back(v);
  }
  for (const NodeId id : g.nodes()) widen_attrs(g, id);
  for (const ValueId v : g.inputs())
    if (g.value(v).type.dtype == DType::kF16 && !g.value(v).uses.empty())
      put_behind(g, v, /*through_half=*/false);
  if (rounds)
    for (const ValueId v : results)
      if (!moves(g, g.value(v).producer)) round_result(g, v);
  for (auto& [v, half] : narrowed) half = narrow_output(g, v);
  std::vector<ValueId> outputs = g.outputs();
  for (ValueId& v : outputs)
    if (const auto found = narrowed.find(v); found != narrowed.end()) v = found->second;
  g.set_outputs(std::move(outputs));
}

void round_to_half(Graph& g) {
  for (const NodeId id : g.nodes())
    if (!g.node(id).captures.empty() || has_subgraph(g.node(id)))
      fail_unsupported("{}: FP16 arithmetic is not computed for models with subgraphs",
                       node_label(g, id));
  infer_types(g);
  const auto is_f32 = [&](ValueId v) { return g.value(v).type.dtype == DType::kF32; };
  for (const ValueId v : g.values())
    if (g.value(v).constant && is_f32(v) && !is_scale(g, v) && !is_parameter(g, v)) {
      Value& value = g.mutable_value(v);
      value.constant = rounded(*value.constant);
    }
  std::vector<ValueId> results;
  for (const NodeId id : g.nodes())
    for (const ValueId v : g.node(id).outputs)
      if (v && is_f32(v) && !moves(g, id) && !is_parameter(g, v)) results.push_back(v);
  for (const ValueId v : results) round_result(g, v);
  for (const ValueId v : g.inputs())
    if (is_f32(v) && !g.value(v).uses.empty() && !is_parameter(g, v))
      put_behind(g, v, /*through_half=*/true);
}

}  // namespace lapidary::exec
