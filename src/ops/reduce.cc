#include <cmath>
#include <limits>
#include <memory>

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/elements.h"
#include "src/ops/rewrite.h"

// ReduceSum, ReduceMean, ...: one value for each slice along `axes` (all where none are given).
// `axes` is an attribute at first and an input later: since 13 for ReduceSum, 18 for the others.

namespace lapidary {

namespace {

int axes_input_since(const AttrView& attrs) { return attrs.node().op == "ReduceSum" ? 13 : 18; }

/// True for each axis that is reduced.
std::vector<bool> reduced_axes(const AttrView& attrs, const std::vector<int64_t>& axes,
                               size_t rank) {
  if (axes.empty()) return std::vector<bool>(rank, attrs.get_int("noop_with_empty_axes", 0) == 0);
  std::vector<bool> out(rank);
  for (int64_t axis : axes) {
    const auto at = static_cast<size_t>(
        InferContext::normalize_axis(axis, static_cast<int64_t>(rank), "axes element"));
    if (out[at]) fail_invalid("axis {} is listed twice in axes {}", axis, shape_text(axes));
    out[at] = true;
  }
  return out;
}

/// Absent where the axes are an input that is not known.
std::optional<std::vector<int64_t>> read_axes(const InferContext& context) {
  if (context.version() < axes_input_since(context.attrs())) {
    context.require_inputs(1);
    return context.attrs().get_ints("axes");
  }
  if (!context.has_input(1)) return std::vector<int64_t>();
  return context.ints(1);
}

template <auto const& Allowed>
void infer_reduce(InferContext& context) {
  context.require_dtype(0, Allowed);
  const bool keep = context.attrs().get_int("keepdims", 1) != 0;
  const auto axes = read_axes(context);
  const auto* shape = context.shape(0);
  TensorType out{context.dtype(0), std::nullopt};
  if (shape && axes) {
    const std::vector<bool> reduced = reduced_axes(context.attrs(), *axes, shape->size());
    out.shape.emplace();
    for (size_t i = 0; i < shape->size(); ++i) {
      if (!reduced[i])
        out.shape->push_back((*shape)[i]);
      else if (keep)
        out.shape->push_back(Dim(1));
    }
  } else if (shape && keep) {
    out.shape = std::vector<Dim>(shape->size());
  }
  context.set_type(0, std::move(out));
}

/// Splits the axes: `outer` runs over the kept ones, `inner` over the reduced ones.
struct Slices {
  Shape outer, inner, output;
  std::vector<int64_t> outer_strides, inner_strides;
};

Slices slices_of(const EvalContext& context) {
  const Tensor& x = context.input(0);
  std::vector<int64_t> axes;
  if (context.version() < axes_input_since(context.attrs()))
    axes = context.attrs().get_ints("axes");
  else if (context.has_input(1))
    axes = context.ints(1);
  const std::vector<bool> reduced = reduced_axes(context.attrs(), axes, x.shape().size());
  const bool keep = context.attrs().get_int("keepdims", 1) != 0;
  const std::vector<int64_t> strides = row_major_strides(x.shape());
  Slices out;
  for (size_t i = 0; i < reduced.size(); ++i) {
    (reduced[i] ? out.inner : out.outer).push_back(x.shape()[i]);
    (reduced[i] ? out.inner_strides : out.outer_strides).push_back(strides[i]);
    if (!reduced[i] || keep) out.output.push_back(reduced[i] ? 1 : x.shape()[i]);
  }
  return out;
}

/// F::run(values): the elements of a slice, in order, to one of the same type.
template <class List, class F>
void evaluate_reduce(EvalContext& context) {
  const Tensor& x = context.input(0);
  const Slices slices = slices_of(context);
  Tensor out(x.dtype(), slices.output);
  dispatch<List>(x.dtype(), [&]<class T>() {
    const auto from = x.data<T>();
    auto to = out.mutable_data<T>();
    const auto length = static_cast<size_t>(element_count(slices.inner));
    const auto slice =
        std::make_unique<Real<T>[]>(length);  // a vector<bool> has no elements to point at
    const std::array outer{slices.outer_strides}, inner{slices.inner_strides};
    for_each_broadcast(slices.outer, outer, [&](int64_t o, const std::array<int64_t, 1>& base) {
      for_each_broadcast(slices.inner, inner, [&](int64_t i, const std::array<int64_t, 1>& at) {
        slice[static_cast<size_t>(i)] = load(from[static_cast<size_t>(base[0] + at[0])]);
      });
      to[static_cast<size_t>(o)] = store<T>(F::template run<Real<T>>({slice.get(), length}));
    });
  });
  context.set_output(0, std::move(out));
}

/// Floats are summed in float64 and rounded once; integers wrap.
template <class R>
using Sum = std::conditional_t<std::is_floating_point_v<R>, double, uint64_t>;

struct SumOf {
  template <class R>
  static R run(std::span<const R> x) {
    Sum<R> sum = 0;
    for (R v : x) sum += static_cast<Sum<R>>(v);
    return static_cast<R>(sum);
  }
};
struct MeanOf {
  template <class R>
  static R run(std::span<const R> x) {
    if constexpr (std::is_integral_v<R>) {
      if (x.empty()) fail_invalid("the mean of no integers");
      return static_cast<R>(static_cast<R>(SumOf::run(x)) / static_cast<int64_t>(x.size()));
    } else {
      double sum = 0;
      for (R v : x) sum += v;
      return static_cast<R>(sum / static_cast<double>(x.size()));
    }
  }
};
struct ProdOf {
  template <class R>
  static R run(std::span<const R> x) {
    Sum<R> product = 1;
    for (R v : x) product *= static_cast<Sum<R>>(v);
    return static_cast<R>(product);
  }
};
struct SumSquareOf {
  template <class R>
  static R run(std::span<const R> x) {
    Sum<R> sum = 0;
    for (R v : x) sum += static_cast<Sum<R>>(v) * static_cast<Sum<R>>(v);
    return static_cast<R>(sum);
  }
};
struct L1Of {
  template <class R>
  static R run(std::span<const R> x) {
    Sum<R> sum = 0;
    for (R v : x) sum += v < 0 ? Sum<R>(0) - static_cast<Sum<R>>(v) : static_cast<Sum<R>>(v);
    return static_cast<R>(sum);
  }
};
struct L2Of {
  template <class R>
  static R run(std::span<const R> x) {
    double sum = 0;
    for (R v : x) sum += static_cast<double>(v) * static_cast<double>(v);
    return static_cast<R>(std::sqrt(sum));
  }
};
struct LogSumOf {
  template <class R>
  static R run(std::span<const R> x) {
    double sum = 0;
    for (R v : x) sum += static_cast<double>(v);
    return static_cast<R>(std::log(sum));
  }
};
/// max + log sum exp(x - max)
struct LogSumExpOf {
  template <class R>
  static R run(std::span<const R> x) {
    double max = -INFINITY, sum = 0;
    for (R v : x) max = std::max(max, static_cast<double>(v));
    const double shift = std::isfinite(max) ? max : 0;
    for (R v : x) sum += std::exp(static_cast<double>(v) - shift);
    return static_cast<R>(shift + std::log(sum));
  }
};
/// NaN wins. Of nothing: the lowest (highest) value, which is an infinity where there is one.
template <bool kWantMax>
struct ExtremeOf {
  template <class R>
  static R run(std::span<const R> x) {
    using Limits = std::numeric_limits<R>;
    R best = kWantMax ? Limits::lowest() : Limits::max();
    if constexpr (Limits::has_infinity) best = kWantMax ? -Limits::infinity() : Limits::infinity();
    for (R v : x) {
      if constexpr (std::is_floating_point_v<R>)
        if (std::isnan(v)) return v;
      if (kWantMax ? best < v : v < best) best = v;
    }
    return best;
  }
};

template <class T, class... List>
constexpr bool is_one_of = (std::is_same_v<T, List> || ...);

/// Of sums, what is zero adds nothing.
template <class F>
void reduce_axes(AxisFlow& flow) {
  const auto axes = read_list(flow, "axes", 1);
  if (!axes) return;
  const std::vector<bool> reduced =
      reduced_axes(flow.attrs(), *axes, static_cast<size_t>(flow.input_rank(0)));
  tie_kept(flow, reduced, flow.attrs().get_int("keepdims", 1) != 0);
  for (size_t i = 0; i < reduced.size(); ++i) {
    if (!reduced[i]) continue;
    const AxisRef axis = flow.input(0, static_cast<int64_t>(i));
    if constexpr (is_one_of<F, SumOf, SumSquareOf, L1Of, L2Of, LogSumOf>)
      flow.sums(axis);
    else
      flow.lossy(axis, "reduced by other than a sum");
  }
}

constexpr auto kNumericOrBool = dtypes_of(NumericOrBoolTypes{});

/// `axes` becomes an input where the op's list of versions says so.
void upgrade_axes(Graph& graph, NodeId id) { attr_to_input(graph, id, "axes", 1); }

template <class F>
OpDef reduction(std::string_view name, std::vector<int> versions, int axes_input) {
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {1, 2},
          .outputs = {1, 1},
          .attrs = {{.name = "axes", .kind = AttrKind::kInts, .until = axes_input - 1},
                    {"keepdims", AttrKind::kInt},
                    {.name = "noop_with_empty_axes", .kind = AttrKind::kInt, .since = axes_input}},
          .infer = infer_reduce<kNumericDTypes>,
          .evaluate = evaluate_reduce<NumericTypes, F>,
          .axes = reduce_axes<F>,
          .upgrades = {{axes_input, upgrade_axes}}};
}

template <bool kWantMax>
OpDef extreme(std::string_view name) {
  OpDef row = reduction<ExtremeOf<kWantMax>>(name, {1, 11, 12, 13, 18, 20}, 18);
  row.infer = infer_reduce<kNumericOrBool>;
  row.evaluate = evaluate_reduce<NumericOrBoolTypes, ExtremeOf<kWantMax>>;
  row.role = QuantRole::kPassThrough;
  return row;
}

}  // namespace

#define LAPIDARY_ROW(op, ...)            \
  const OpDef& op_##op() {               \
    static const OpDef def(__VA_ARGS__); \
    return def;                          \
  }

LAPIDARY_ROW(ReduceL1, reduction<L1Of>("ReduceL1", {1, 11, 13, 18}, 18))
LAPIDARY_ROW(ReduceL2, without_half_form(reduction<L2Of>("ReduceL2", {1, 11, 13, 18}, 18)))
LAPIDARY_ROW(ReduceLogSum, reduction<LogSumOf>("ReduceLogSum", {1, 11, 13, 18, 28}, 18))
LAPIDARY_ROW(ReduceLogSumExp, reduction<LogSumExpOf>("ReduceLogSumExp", {1, 11, 13, 18, 28}, 18))
LAPIDARY_ROW(ReduceMax, extreme<true>("ReduceMax"))
LAPIDARY_ROW(ReduceMean, reduction<MeanOf>("ReduceMean", {1, 11, 13, 18}, 18))
LAPIDARY_ROW(ReduceMin, extreme<false>("ReduceMin"))
LAPIDARY_ROW(ReduceProd, reduction<ProdOf>("ReduceProd", {1, 11, 13, 18}, 18))
LAPIDARY_ROW(ReduceSum, reduction<SumOf>("ReduceSum", {1, 11, 13}, 13))
LAPIDARY_ROW(ReduceSumSquare,
             without_half_form(reduction<SumSquareOf>("ReduceSumSquare", {1, 11, 13, 18}, 18)))

#undef LAPIDARY_ROW

}  // namespace lapidary
