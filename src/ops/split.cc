#include <algorithm>

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// Sizes of `parts` parts of an axis: equal ones, the last one smaller where `size` does not divide
/// (allowed from version 18).
std::vector<int64_t> equal_parts(int64_t size, int64_t parts, bool smaller_last) {
  if (!smaller_last && size % parts != 0)
    fail_invalid("an axis of {} cannot be split into {} equal parts", size, parts);
  const int64_t chunk = (size + parts - 1) / parts;
  std::vector<int64_t> out;
  for (int64_t begin = 0; out.size() < static_cast<size_t>(parts); begin += chunk)
    out.push_back(std::clamp<int64_t>(size - begin, 0, chunk));
  return out;
}

void check_parts(std::span<const int64_t> parts, size_t outputs, std::optional<int64_t> size) {
  if (parts.size() != outputs)
    fail_invalid("split {} has {} sizes, expected {}, one per output", shape_text(parts),
                 parts.size(), outputs);
  int64_t sum = 0;
  for (int64_t part : parts) {
    if (part < 0) fail_invalid("split {} holds a negative size", shape_text(parts));
    sum = checked_add(sum, part);
  }
  if (size && sum != *size)
    fail_invalid("split {} sums to {}, expected the axis's size {}", shape_text(parts), sum, *size);
}

/// num_outputs (18) must be there exactly where the input `split` is not, and fit the outputs.
void check_num_outputs(const AttrView& attrs, bool has_split, size_t outputs) {
  if (!attrs.has("num_outputs")) return;
  const int64_t wanted = attrs.get_int("num_outputs", 0);
  if (has_split)
    fail_invalid("both num_outputs and the input split are given, expected one of them");
  if (wanted < 1 || wanted != static_cast<int64_t>(outputs))
    fail_invalid("num_outputs is {}, expected {}, the number of outputs", wanted, outputs);
}

/// The sizes where they are said: the attribute (before 13) or the input.
template <class Context>
std::optional<std::vector<int64_t>> stated_parts(const Context& ctx) {
  if (ctx.has_input(1)) return ctx.ints(1);
  return ctx.attrs().has("split") ? std::optional(ctx.attrs().get_ints("split")) : std::nullopt;
}

void infer(InferContext& ctx) {
  require_arity(ctx, 1, ctx.version() >= 13 ? 2 : 1);
  const bool has_split = ctx.has_input(1) || ctx.attrs().has("split");
  if (ctx.has_input(1)) {
    ctx.require_dtype(1, kI64Only);
    list_length(ctx, 1);
  }
  check_num_outputs(ctx.attrs(), has_split, ctx.output_count());
  for (size_t i = 0; i < ctx.output_count(); ++i) ctx.set_type(i, ctx.dtype(0));
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return;
  ctx.require_rank(0, 1, -1);
  const auto axis = static_cast<size_t>(InferContext::normalize_axis(
      ctx.attrs().get_int("axis", 0), static_cast<int64_t>(shape->size())));
  const Dim size = (*shape)[axis];
  auto parts = stated_parts(ctx);
  if (!parts && !has_split && size.known())
    parts = equal_parts(size.value, static_cast<int64_t>(ctx.output_count()), ctx.version() >= 18);
  if (parts)
    check_parts(*parts, ctx.output_count(),
                size.known() ? std::optional(size.value) : std::nullopt);
  const auto whole = shape->size() == 1 ? ctx.shape_value(0) : std::nullopt;
  auto begin = whole ? whole->begin() : ShapeValue::const_iterator{};
  for (size_t i = 0; i < ctx.output_count(); ++i) {
    std::vector<Dim> out = *shape;
    out[axis] = parts ? Dim((*parts)[i]) : ctx.output_count() == 1 ? size : Dim{};
    ctx.set_type(i, ctx.dtype(0), out);
    if (!whole || !parts) continue;
    ctx.set_shape_value(i, ShapeValue(begin, begin + (*parts)[i]));
    begin += (*parts)[i];
  }
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto axis =
      static_cast<size_t>(InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), x.rank()));
  const int64_t size = x.shape()[axis];
  std::vector<int64_t> parts;
  if (ctx.has_input(1))
    parts = ctx.ints(1);
  else if (ctx.attrs().has("split"))
    parts = ctx.attrs().get_ints("split");
  else
    parts = equal_parts(size, static_cast<int64_t>(ctx.output_count()), ctx.version() >= 18);
  check_parts(parts, ctx.output_count(), size);
  AxisTables tables = identity_tables(x.shape());
  int64_t begin = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    tables[axis] = iota_table(parts[i]);
    for (int64_t& at : tables[axis]) at += begin;
    ctx.set_output(i, take_axes(x, tables));
    begin += parts[i];
  }
}

/// Parts of the axis; their sizes are what is left of each. Parts whose sizes are not written must
/// stay equal.
void axes(AxisFlow& flow) {
  const std::vector<int64_t> axis{
      InferContext::normalize_axis(flow.attrs().get_int("axis", 0), flow.input_rank(0))};
  for (size_t i = 0; i < flow.output_count(); ++i) tie_all_but(flow, 0, i, axis);
  const AxisRef from = flow.input(0, axis[0]);
  const auto parts = stated_parts(flow);
  if (!parts || flow.size(from) < 0)
    return flow.freeze(from, "the sizes of the parts of a Split are not written");
  int64_t begin = 0;
  for (size_t i = 0; i < parts->size(); ++i) {
    const int64_t count = (*parts)[i];
    KeptCount kept{from, begin, begin + count};
    if (flow.has_output(i)) {
      kept = {flow.output(i, axis[0])};
      flow.tie(from, positions(begin, count), kept.axis, positions(0, count));
    }
    list_is(flow, "split", 1, static_cast<int64_t>(i), kept);
    begin += count;
  }
}

/// split: attribute -> input.
void upgrade_to_13(Graph& graph, NodeId id) { attr_to_input(graph, id, "split", 1); }

/// Without sizes, version 18 wants the number of parts.
void upgrade_to_18(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.inputs.size() > 1 && node.inputs[1]) return;
  graph.set_attr(id, "num_outputs", static_cast<int64_t>(node.outputs.size()));
}

}  // namespace

const OpDef& op_Split() {
  static const OpDef def{
      .name = "Split",
      .versions = {2, 11, 13, 18},
      .inputs = {1, 2},
      .outputs = {1, -1},
      .attrs = {{"axis", AttrKind::kInt},
                {"split", AttrKind::kInts, false, 2, 12},
                {"num_outputs", AttrKind::kInt, false, 18}},
      .infer = infer,
      .evaluate = evaluate,
      .axes = axes,
      .role = QuantRole::kPassThrough,
      .upgrades = {{13, upgrade_to_13}, {18, upgrade_to_18}},
  };
  return def;
}

}  // namespace lapidary
