#include <limits>

#include "src/ops/axis_flow.h"
#include "src/ops/elements.h"
#include "src/ops/rewrite.h"

// y = min(max(x, low), high), NaN kept. Bounds are attributes up to version 6, scalar inputs
// since 11.

namespace lapidary {

namespace {

void infer_clip(InferContext& context) {
  if (context.version() < 11) {
    context.require_inputs(1);
    return infer_same_float(context);
  }
  context.require_dtype(0, kNumericDTypes);
  for (size_t i : {1u, 2u}) {
    if (!context.has_input(i)) continue;
    context.require_same_dtype(0, i);
    // The standard asks for a scalar; one element of rank 1 is what many exporters write.
    context.require_rank(i, 0, 1);
    if (const auto* shape = context.shape(i);
        shape && !shape->empty() && (*shape)[0].known() && (*shape)[0].value != 1)
      fail_invalid("bound (input {}) is {}, expected a scalar", i, context.type(i).text());
  }
  context.set_type(0, context.type(0));
}

void evaluate_clip(EvalContext& context) {
  const Tensor& x = context.input(0);
  dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
    using R = Real<T>;
    using Limits = std::numeric_limits<R>;
    const auto bound = [&](size_t input, std::string_view name, R open) {
      if (context.version() < 11) {
        if constexpr (std::is_floating_point_v<R>)
          if (context.attrs().has(name)) return static_cast<R>(context.attrs().get_float(name, 0));
        return open;
      }
      return context.has_input(input) ? load(context.input(input).data<T>()[0]) : open;
    };
    R open_low = Limits::lowest(), open_high = Limits::max();
    if constexpr (Limits::has_infinity) {
      open_low = -Limits::infinity();
      open_high = Limits::infinity();
    }
    const R low = bound(1, "min", open_low), high = bound(2, "max", open_high);
    context.set_output(0, map_elements<T>(x, [&](R v) {
                         const R raised = v < low ? low : v;
                         return raised > high ? high : raised;  // high wins where low > high
                       }));
  });
}

/// To version 11: the bounds that are given become inputs of x's type.
void upgrade_to_11(Graph& graph, NodeId id) {
  const DType dtype = graph.value(graph.node(id).inputs[0]).type.dtype;
  for (const auto& [name, slot] : {std::pair{"min", 1u}, std::pair{"max", 2u}}) {
    const Attr* attr = graph.node(id).attr(name);
    if (attr == nullptr) continue;
    const std::vector<float> value{std::get<float>(*attr)};
    const Tensor bound = make_from(is_float(dtype) ? dtype : DType::kF32, {}, value);
    graph.erase_attr(id, name);
    graph.set_input(id, slot, Rewrite(graph, id).constant(name, bound));
  }
}

}  // namespace

const OpDef& op_Clip() {
  static const OpDef def{.name = "Clip",
                         .versions = {6, 11, 12, 13},
                         .inputs = {1, 3},
                         .outputs = {1, 1},
                         .attrs = {{.name = "min", .kind = AttrKind::kFloat, .until = 10},
                                   {.name = "max", .kind = AttrKind::kFloat, .until = 10}},
                         .infer = infer_clip,
                         .evaluate = evaluate_clip,
                         .axes = tie_elementwise,
                         .role = QuantRole::kCompute,
                         .upgrades = {{11, upgrade_to_11}}};
  return def;
}

}  // namespace lapidary
