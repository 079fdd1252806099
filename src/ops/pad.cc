#include <algorithm>

#include "src/base/checked.h"
#include "src/base/half.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

enum class Mode { kConstant, kReflect, kEdge, kWrap };

Mode mode_of(const AttrView& attrs) {
  const std::string name = attrs.get_string("mode", "constant");
  if (name == "constant") return Mode::kConstant;
  if (name == "reflect") return Mode::kReflect;
  if (name == "edge") return Mode::kEdge;
  if (name == "wrap" && attrs.version() >= 19) return Mode::kWrap;
  fail_invalid("mode is '{}', expected constant, reflect, edge or (from version 19) wrap", name);
}

/// Elements added before (negative: removed) and after along every axis.
struct Amounts {
  std::vector<int64_t> before, after;
};

/// `pads` lists the befores, then the afters, of `axes` (all of them where absent).
Amounts amounts(std::span<const int64_t> pads, const std::optional<std::vector<int64_t>>& axes,
                int64_t rank) {
  const std::vector<int64_t> touched = axes ? normalize_axes(*axes, rank) : iota_table(rank);
  if (pads.size() != 2 * touched.size())
    fail_invalid("pads has {} numbers, expected {}, two per axis", pads.size(), 2 * touched.size());
  Amounts out{std::vector<int64_t>(static_cast<size_t>(rank)),
              std::vector<int64_t>(static_cast<size_t>(rank))};
  for (size_t i = 0; i < touched.size(); ++i) {
    out.before[static_cast<size_t>(touched[i])] = pads[i];
    out.after[static_cast<size_t>(touched[i])] = pads[touched.size() + i];
  }
  return out;
}

int64_t padded_size(int64_t size, int64_t before, int64_t after) {
  const int64_t out = checked_add(checked_add(size, before), after);
  if (out < 0) fail_invalid("pads {} and {} leave {} of an axis of {}", before, after, out, size);
  return out;
}

/// Source position of each output position along one axis, -1 for the constant. Negative amounts
/// crop first; reflection and wrapping go on as often as needed.
std::vector<int64_t> axis_table(int64_t size, int64_t before, int64_t after, Mode mode) {
  const int64_t low = std::max<int64_t>(0, -before), high = std::min(size, size + after);
  const int64_t count = high - low;
  std::vector<int64_t> table = iota_table(padded_size(size, before, after));
  if (count <= 0 && mode != Mode::kConstant && !table.empty())
    fail_invalid("nothing is left of an axis of {} to pad from (pads {} and {})", size, before,
                 after);
  const auto modulo = [](int64_t a, int64_t n) { return (a % n + n) % n; };
  for (int64_t& at : table) {
    const int64_t inner = at - before - low;  // position in what the crop left
    const bool inside = inner >= 0 && inner < count;
    if (inside)
      at = inner + low;
    else if (mode == Mode::kConstant)
      at = -1;
    else if (mode == Mode::kEdge)
      at = std::clamp<int64_t>(inner, 0, count - 1) + low;
    else if (mode == Mode::kWrap)
      at = modulo(inner, count) + low;
    else if (count == 1)
      at = low;
    else {
      const int64_t phase = modulo(inner, 2 * (count - 1));  // 0 1 .. n-1 n-2 .. 1
      at = std::min(phase, 2 * (count - 1) - phase) + low;
    }
  }
  return table;
}

void infer(InferContext& ctx) {
  const int version = ctx.version();
  require_arity(ctx, version < 11 ? 1 : 2, version < 11 ? 1 : version < 18 ? 3 : 4);
  mode_of(ctx.attrs());
  if (version >= 11) {
    ctx.require_dtype(1, kI64Only);
    ctx.require_rank(1, 1, 2);  // version 11 wrote [1, 2 * rank] in places
    if (ctx.has_input(2)) {
      ctx.require_same_dtype(0, 2);
      ctx.require_rank(2, 0, 1);
      const Tensor* value = ctx.constant(2);
      if (value && value->size() != 1)
        fail_invalid("constant_value has {} elements, expected 1", value->size());
    }
    if (ctx.has_input(3)) {
      ctx.require_dtype(3, kIndexTypes);
      list_length(ctx, 3);
    }
  }
  ctx.set_type(0, ctx.dtype(0));
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return;
  const auto pads = version < 11 ? std::optional(ctx.attrs().get_ints("pads")) : ctx.ints(1);
  const auto axes = ctx.has_input(3) ? ctx.ints(3) : std::nullopt;
  std::vector<Dim> out(shape->size());
  if (pads && (axes || !ctx.has_input(3))) {
    const Amounts by = amounts(*pads, axes, std::ssize(*shape));
    for (size_t i = 0; i < out.size(); ++i) {
      const Dim& dim = (*shape)[i];
      if (dim.known())
        out[i] = padded_size(dim.value, by.before[i], by.after[i]);
      else if (by.before[i] == 0 && by.after[i] == 0)
        out[i] = dim;
    }
    if (const auto known = known_shape(out)) element_count(*known);
  }
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

Tensor attribute_value(DType dtype, float value) {
  switch (dtype) {
    case DType::kF32:
      return Tensor::scalar<float>(value);
    case DType::kF64:
      return Tensor::scalar<double>(value);
    case DType::kF16:
      return Tensor::scalar<Half>(to_half(value));
    default:
      fail_unsupported("Pad of {} before version 11", dtype_name(dtype));
  }
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const Mode mode = mode_of(ctx.attrs());
  const auto pads = ctx.version() < 11 ? ctx.attrs().get_ints("pads") : ctx.ints(1);
  const auto axes = ctx.has_input(3) ? std::optional(ctx.ints(3)) : std::nullopt;
  const Amounts by = amounts(pads, axes, x.rank());
  AxisTables tables;
  for (size_t i = 0; i < x.shape().size(); ++i)
    tables.push_back(axis_table(x.shape()[i], by.before[i], by.after[i], mode));
  Tensor fill;
  if (ctx.version() < 11)
    fill = attribute_value(x.dtype(), ctx.attrs().get_float("value", 0));
  else if (ctx.has_input(2))
    fill = ctx.input(2);
  ctx.set_output(0, take_axes(x, tables, fill.empty() ? nullptr : &fill));
}

/// What is kept of x goes with its place in y; what is added may go. An amount is how many elements
/// of the added ones are left, or minus how many of those cut off. Reflections and the like come
/// from neighbours.
void axes(AxisFlow& flow) {
  const auto pads = read_list(flow, "pads", 1);
  const auto named = flow.has_input(3) ? flow.ints(3) : std::nullopt;
  const int64_t rank = flow.input_rank(0);
  if (!pads || (flow.has_input(3) && !named)) return;
  const std::vector<int64_t> touched = named ? normalize_axes(*named, rank) : iota_table(rank);
  const Mode mode = mode_of(flow.attrs());
  tie_all_but(flow, 0, 0, touched);
  for (size_t i = 0; i < touched.size(); ++i) {
    const AxisRef from = flow.input(0, touched[i]), to = flow.output(0, touched[i]);
    const int64_t before = (*pads)[i], after = (*pads)[touched.size() + i], size = flow.size(from);
    if (before == 0 && after == 0) {
      tie_or_freeze(flow, from, to);
      continue;
    }
    const int64_t low = std::max<int64_t>(0, -before), high = std::min(size, size + after);
    if (mode != Mode::kConstant || size < 0 || low >= high) {
      for (const AxisRef axis : {from, to}) flow.freeze(axis, "padded, but not with a constant");
      continue;
    }
    flow.tie(from, positions(low, high - low), to, positions(low + before, high - low));
    const int64_t begin = static_cast<int64_t>(i), end = std::ssize(touched) + begin;
    const int64_t padded = flow.size(to);
    list_is(flow, "pads", 1, begin,
            before >= 0 ? KeptCount{to, 0, before} : KeptCount{from, 0, low, -1});
    list_is(flow, "pads", 1, end,
            after >= 0 ? KeptCount{to, padded - after, padded} : KeptCount{from, high, size, -1});
  }
}

/// pads and value: attributes -> inputs. The constant takes the data's type, so that must be known.
void upgrade_to_11(Graph& graph, NodeId id) {
  const Attr* attr = graph.node(id).attr("value");
  const float value = attr && std::get_if<float>(attr) ? *std::get_if<float>(attr) : 0.0f;
  if (value != 0.0f) {
    const DType declared = graph.value(graph.node(id).inputs.at(0)).type.dtype;
    const Tensor fill =
        attribute_value(declared == DType::kUndefined ? DType::kF32 : declared, value);
    graph.set_input(id, 2,
                    graph.add_constant(graph.unique_name(node_key(graph, id) + "_value"), fill));
  }
  graph.erase_attr(id, "value");
  attr_to_input(graph, id, "pads", 1);
}

}  // namespace

const OpDef& op_Pad() {
  static const OpDef def{
      .name = "Pad",
      .versions = {2, 11, 13, 18, 19, 21, 23, 24, 25},
      .inputs = {1, 4},
      .outputs = {1, 1},
      .attrs = {{"mode", AttrKind::kString},
                {"pads", AttrKind::kInts, true, 1, 10},
                {"value", AttrKind::kFloat, false, 1, 10}},
      .infer = infer,
      .evaluate = evaluate,
      .axes = axes,
      .role = QuantRole::kPassThrough,
      .upgrades = {{11, upgrade_to_11}},
  };
  return def;
}

}  // namespace lapidary
