#include <algorithm>

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();

/// start, start + step, ...: `count` positions of one axis.
struct Range {
  int64_t start = 0, step = 1, count = 0;
};

/// NumPy's [start:end:step] on an axis of `size`, bounds clamped.
Range clamp_range(int64_t start, int64_t end, int64_t step, int64_t size) {
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  const auto place = [&](int64_t at) { return std::clamp(at < 0 ? at + size : at, low, high); };
  start = step > 0 ? place(start) : std::max(place(start), std::min<int64_t>(0, high));
  end = place(end);
  // Longer strides than the axis reach one element like a stride of its length does.
  step = std::clamp(step, -std::max<int64_t>(size, 1), std::max<int64_t>(size, 1));
  const int64_t span = step > 0 ? end - start : start - end;
  const int64_t stride = step > 0 ? step : -step;
  return {start, step, span <= 0 ? 0 : (span + stride - 1) / stride};
}

/// What a node asks for: attributes before version 10, inputs since; defaults filled in.
struct Request {
  std::vector<int64_t> starts, ends, axes, steps;
};

void complete(Request& r, int64_t rank) {
  if (r.axes.empty()) r.axes = iota_table(static_cast<int64_t>(r.starts.size()));
  if (r.steps.empty()) r.steps.assign(r.starts.size(), 1);
  if (r.ends.size() != r.starts.size() || r.axes.size() != r.starts.size() ||
      r.steps.size() != r.starts.size())
    fail_invalid("starts {}, ends {}, axes {} and steps {} differ in length", shape_text(r.starts),
                 shape_text(r.ends), shape_text(r.axes), shape_text(r.steps));
  r.axes = normalize_axes(r.axes, rank);
  for (size_t i = 0; i < r.starts.size(); ++i) {
    if (r.steps[i] == 0) fail_invalid("step 0 along axis {}", r.axes[i]);
    if (r.starts[i] == kLowest) fail_invalid("start {} along axis {}", kLowest, r.axes[i]);
  }
}

/// Sizes that can be said of an axis whose own size is not known.
Dim open_dim(const Dim& dim, int64_t start, int64_t end, int64_t step) {
  constexpr int64_t kFar =
      std::numeric_limits<int32_t>::max();  // what exporters write for "to the end"
  const bool forward = step == 1 && start == 0 && end >= kFar;
  const bool backward = step == -1 && (start == -1 || start >= kFar) && end <= -kFar;
  return forward || backward ? dim : Dim{};
}

template <class Context>
std::optional<Request> known_request(const Context& ctx) {
  Request r;
  if (ctx.version() < 10) {
    r.starts = ctx.attrs().get_ints("starts");
    r.ends = ctx.attrs().get_ints("ends");
    r.axes = ctx.attrs().get_ints("axes");
    return r;
  }
  const auto read = [&](size_t input, std::vector<int64_t>& to) {
    if (!ctx.has_input(input)) return true;
    const auto values = ctx.ints(input);
    if (values) to = *values;
    return values.has_value();
  };
  if (!read(1, r.starts) || !read(2, r.ends) || !read(3, r.axes) || !read(4, r.steps))
    return std::nullopt;
  return r;
}

/// Which axes may change where the bounds are not known: all, or those that are named. An end that
/// is the axis's own symbol keeps it.
void infer_open(InferContext& ctx, std::vector<Dim> out) {
  const auto axes = ctx.has_input(3) ? ctx.ints(3) : std::nullopt;
  const auto starts = ctx.ints(1);
  const auto ends = ctx.shape_value(2);
  std::vector<int64_t> touched;
  if (axes)
    touched = normalize_axes(*axes, static_cast<int64_t>(out.size()));
  else if (const auto count = ctx.has_input(3) ? std::nullopt : list_length(ctx, 1))
    touched = iota_table(std::min(*count, static_cast<int64_t>(out.size())));
  else
    touched = iota_table(static_cast<int64_t>(out.size()));
  for (size_t i = 0; i < touched.size(); ++i) {
    Dim& dim = out[static_cast<size_t>(touched[i])];
    const bool whole = !ctx.has_input(4) && starts && ends && i < starts->size() &&
                       i < ends->size() && (*starts)[i] == 0 && !dim.symbol.empty() &&
                       (*ends)[i] == dim;
    if (!whole) dim = Dim{};
  }
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

void infer(InferContext& ctx) {
  require_arity(ctx, ctx.version() < 10 ? 1 : 3, ctx.version() < 10 ? 1 : 5);
  if (ctx.version() >= 10)
    for (size_t i = 1; i < ctx.input_count(); ++i) {
      if (!ctx.has_input(i)) continue;
      ctx.require_dtype(i, kIndexTypes);
      list_length(ctx, i);
    }
  ctx.set_type(0, ctx.dtype(0));
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return;
  ctx.require_rank(0, 1, -1);
  auto request = known_request(ctx);
  if (!request) return infer_open(ctx, *shape);
  complete(*request, static_cast<int64_t>(shape->size()));
  std::vector<Dim> out = *shape;
  std::optional<Range> only;
  for (size_t i = 0; i < request->axes.size(); ++i) {
    Dim& dim = out[static_cast<size_t>(request->axes[i])];
    const int64_t start = request->starts[i], end = request->ends[i], step = request->steps[i];
    if (dim.known()) {
      only = clamp_range(start, end, step, dim.value);
      dim = only->count;
    } else {
      dim = open_dim(dim, start, end, step);
    }
  }
  ctx.set_type(0, ctx.dtype(0), out);
  const auto values = shape->size() == 1 ? ctx.shape_value(0) : std::nullopt;
  if (!values || !only) return;
  ShapeValue picked;
  for (int64_t i = 0; i < only->count; ++i)
    picked.push_back((*values)[static_cast<size_t>(only->start + i * only->step)]);
  ctx.set_shape_value(0, std::move(picked));
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  Request request;
  if (ctx.version() < 10) {
    request = {ctx.attrs().get_ints("starts"),
               ctx.attrs().get_ints("ends"),
               ctx.attrs().get_ints("axes"),
               {}};
  } else {
    request.starts = ctx.ints(1);
    request.ends = ctx.ints(2);
    if (ctx.has_input(3)) request.axes = ctx.ints(3);
    if (ctx.has_input(4)) request.steps = ctx.ints(4);
  }
  complete(request, x.rank());
  AxisTables tables = identity_tables(x.shape());
  for (size_t i = 0; i < request.axes.size(); ++i) {
    const auto axis = static_cast<size_t>(request.axes[i]);
    const Range range =
        clamp_range(request.starts[i], request.ends[i], request.steps[i], x.shape()[axis]);
    tables[axis] = iota_table(range.count);
    for (int64_t& at : tables[axis]) at = range.start + at * range.step;
  }
  ctx.set_output(0, take_axes(x, tables));
}

/// Elements start, start + 1, ...: what is left before `start` and before `end` is where they are
/// afterwards. With a step the axis is seen as [blocks * step], and only whole blocks may go.
void slice_axis(AxisFlow& flow, const Range& range, int64_t index, AxisRef from, AxisRef to) {
  const int64_t size = flow.size(from), end = range.start + range.count;
  if (range.count == 0) return flow.freeze(from, "nothing of it is left by a slice");
  if (range.step == 1) {
    flow.tie(from, positions(range.start, range.count), to, positions(0, range.count));
    list_is(flow, "starts", 1, index, {from, 0, range.start});
    list_is(flow, "ends", 2, index, {from, 0, end});
    return;
  }
  if (range.step < 0 || range.start >= range.step || range.count * range.step != size) {
    flow.freeze(from, "a slice with a step");
    return flow.freeze(to, "a slice with a step");
  }
  const AxisRef step = flow.local(range.step);
  flow.freeze(step, "a slice with a step");
  flow.multiply(from, {to, step});
  list_is(flow, "starts", 1, index, {step, 0, range.start});
  list_is(flow, "ends", 2, index, {from, 0, size});
}

void axes(AxisFlow& flow) {
  auto request = known_request(flow);
  const int64_t rank = flow.input_rank(0);
  if (!request) {  // which axes are touched may be known all the same
    const auto named = flow.has_input(3) ? flow.ints(3) : std::nullopt;
    if (named) tie_all_but(flow, 0, 0, normalize_axes(*named, rank));
    return;
  }
  complete(*request, rank);
  tie_all_but(flow, 0, 0, request->axes);
  for (size_t i = 0; i < request->axes.size(); ++i) {
    const int64_t axis = request->axes[i];
    const AxisRef from = flow.input(0, axis), to = flow.output(0, axis);
    if (flow.size(from) < 0) continue;
    const Range range =
        clamp_range(request->starts[i], request->ends[i], request->steps[i], flow.size(from));
    slice_axis(flow, range, static_cast<int64_t>(i), from, to);
  }
}

/// starts, ends, axes: attributes -> inputs.
void upgrade_to_10(Graph& graph, NodeId id) {
  attr_to_input(graph, id, "starts", 1);
  attr_to_input(graph, id, "ends", 2);
  attr_to_input(graph, id, "axes", 3);
}

}  // namespace

const OpDef& op_Slice() {
  static const OpDef def{
      .name = "Slice",
      .versions = {1, 10, 11, 13},
      .inputs = {1, 5},
      .outputs = {1, 1},
      .attrs = {{"starts", AttrKind::kInts, true, 1, 9},
                {"ends", AttrKind::kInts, true, 1, 9},
                {"axes", AttrKind::kInts, false, 1, 9}},
      .infer = infer,
      .evaluate = evaluate,
      .axes = axes,
      .role = QuantRole::kPassThrough,
      .upgrades = {{10, upgrade_to_10}},
  };
  return def;
}

}  // namespace lapidary
