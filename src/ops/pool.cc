#include "src/ops/pool.h"

#include <cmath>
#include <limits>

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/before_7.h"

namespace lapidary {

std::optional<std::vector<Dim>> pool_output_shape(const InferContext& context, size_t x_input) {
  const WindowAttrs window = read_window(context.attrs(), context.attrs().get_ints("kernel_shape"));
  const auto* x = context.shape(x_input);
  if (x == nullptr) return std::nullopt;
  context.require_rank(x_input, 3, -1);
  if (x->size() != window.rank() + 2)
    fail_invalid("kernel_shape {} for the input {}: expected {} sizes", shape_text(window.kernel),
                 context.type(x_input).text(), x->size() - 2);
  std::vector<Dim> out{(*x)[0], (*x)[1]};
  for (size_t i = 0; i < window.rank(); ++i) {
    // A window that lies in the padding alone would have no element to pool.
    if (window.auto_pad == WindowAttrs::AutoPad::kNotSet &&
        std::max(window.pads[i], window.pads[i + window.rank()]) >= window.span(i))
      fail_invalid("pads {} must be smaller than the window {}", shape_text(window.pads),
                   window.span(i));
    out.push_back(window_output(window, i, (*x)[i + 2]));
  }
  return out;
}

PoolGeometry pool_geometry(const AttrView& attrs, const Shape& x) {
  const WindowAttrs window = read_window(attrs, attrs.get_ints("kernel_shape"));
  PoolGeometry g{.planes = checked_mul(x[0], x[1]),
                 .axes = resolve_window(window, std::span(x).subspan(2)),
                 .output = {x[0], x[1]}};
  for (size_t i = 5 - x.size(); i < 3; ++i) g.output.push_back(g.axes[i].out);
  return g;
}

int64_t padded_count(const PoolGeometry& g, const std::array<int64_t, 3>& out) {
  int64_t count = 1;
  for (size_t i = 0; i < 3; ++i) {
    const WindowAxis& axis = g.axes[i];
    int64_t inside = 0;
    for (int64_t k = 0; k < axis.kernel; ++k)
      inside += out[i] * axis.stride + k * axis.dilation < axis.in + axis.pad_begin + axis.pad_end;
    count *= inside;
  }
  return count;
}

void infer_global_pool(InferContext& context, size_t x_input, DType dtype) {
  context.require_rank(x_input, 3, -1);
  TensorType out{dtype, std::nullopt};
  if (const auto* x = context.shape(x_input)) {
    out.shape = *x;
    for (size_t i = 2; i < x->size(); ++i) (*out.shape)[i] = Dim(1);
  }
  context.set_type(0, std::move(out));
}

namespace {

void infer_pool(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  context.set_type(0, TensorType{context.dtype(0), pool_output_shape(context, 0)});
}

/// Batches and channels; nothing is said of the others. Indices of maxima count over all of x.
void pool_axes(AxisFlow& flow) {
  if (flow.output_count() > 1 && flow.has_output(1)) return;
  for (int64_t i : {0, 1}) tie_or_freeze(flow, flow.input(0, i), flow.output(0, i));
}

/// y = mean of the window; padding counts where count_include_pad asks for it. Summed in float64.
void evaluate_average_pool(EvalContext& context) {
  const Tensor& x = context.input(0);
  const PoolGeometry g = pool_geometry(context.attrs(), x.shape());
  const bool with_padding = context.attrs().get_int("count_include_pad", 0) != 0;
  const std::vector<double> in = read_as<double>(x);
  std::vector<double> out(static_cast<size_t>(element_count(g.output)));
  for_each_window(g, [&](int64_t plane, int64_t o, const auto& at,
                         std::span<const int64_t> window) {
    const double* from = in.data() + plane * g.in_area();
    double sum = 0;
    for (int64_t i : window) sum += from[i];
    const int64_t count = with_padding ? padded_count(g, at) : static_cast<int64_t>(window.size());
    out[static_cast<size_t>(plane * g.out_area() + o)] = sum / static_cast<double>(count);
  });
  context.set_output(0, make_from(x.dtype(), g.output, out));
}

// -- MaxPool: y = max of the window, indices of the first maximum in the flat x

using MaxPoolTypes = Types<float, double, Half, BFloat16, int8_t, uint8_t>;

void infer_max_pool(InferContext& context) {
  constexpr auto kAllowed = dtypes_of(MaxPoolTypes{});
  context.require_dtype(0, kAllowed);
  const auto shape = pool_output_shape(context, 0);
  context.set_type(0, TensorType{context.dtype(0), shape});
  context.set_type(1, TensorType{DType::kI64, shape});
}

/// Where the offset `at` of a plane lies when the last spatial axis runs slowest (storage_order 1).
int64_t column_major(const PoolGeometry& g, int64_t at) {
  const auto& [d, h, v] = g.axes;
  const int64_t id = at / (h.in * v.in), ih = at / v.in % h.in, iw = at % v.in;
  return (iw * h.in + ih) * d.in + id;
}

/// The first NaN is the largest.
template <class T>
bool exceeds(T value, T best) {
  if constexpr (std::is_floating_point_v<T>)
    if (std::isnan(best) || std::isnan(value)) return !std::isnan(best);
  return value > best;
}

void evaluate_max_pool(EvalContext& context) {
  const Tensor& x = context.input(0);
  const PoolGeometry g = pool_geometry(context.attrs(), x.shape());
  const bool columns = context.attrs().get_int("storage_order", 0) != 0;
  Tensor y(x.dtype(), g.output), indices(DType::kI64, g.output);
  auto index_of = indices.mutable_data<int64_t>();
  dispatch<MaxPoolTypes>(x.dtype(), [&]<class T>() {
    const auto in = x.data<T>();
    auto to = y.mutable_data<T>();
    for_each_window(g, [&](int64_t plane, int64_t o, const auto&, std::span<const int64_t> window) {
      const auto from = in.subspan(static_cast<size_t>(plane * g.in_area()));
      if (window.empty()) fail_invalid("a window lies in the padding alone");
      int64_t best = window[0];
      for (int64_t i : window)
        if (exceeds(load(from[static_cast<size_t>(i)]), load(from[static_cast<size_t>(best)])))
          best = i;
      const auto at = static_cast<size_t>(plane * g.out_area() + o);
      to[at] = from[static_cast<size_t>(best)];
      index_of[at] = plane * g.in_area() + (columns ? column_major(g, best) : best);
    });
  });
  context.set_output(0, std::move(y));
  context.set_output(1, std::move(indices));
}

// -- LpPool: (sum |x|^p)^(1/p)

double lp(int64_t p, std::span<const int64_t> window, const double* from) {
  double sum = 0;
  for (int64_t i : window) sum += std::pow(std::abs(from[i]), static_cast<double>(p));
  return std::pow(sum, 1 / static_cast<double>(p));
}

int64_t read_p(const AttrView& attrs) {
  const int64_t p = attrs.get_int("p", 2);
  if (p < 1) fail_invalid("p is {}, expected 1 or more", p);
  return p;
}

void infer_lp_pool(InferContext& context) {
  read_p(context.attrs());
  infer_pool(context);
}

void evaluate_lp_pool(EvalContext& context) {
  const Tensor& x = context.input(0);
  const PoolGeometry g = pool_geometry(context.attrs(), x.shape());
  const int64_t p = read_p(context.attrs());
  const std::vector<double> in = read_as<double>(x);
  std::vector<double> out(static_cast<size_t>(element_count(g.output)));
  for_each_window(g, [&](int64_t plane, int64_t o, const auto&, std::span<const int64_t> window) {
    out[static_cast<size_t>(plane * g.out_area() + o)] =
        lp(p, window, in.data() + plane * g.in_area());
  });
  context.set_output(0, make_from(x.dtype(), g.output, out));
}

// -- global poolings: one window over the whole plane

void infer_global(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  infer_global_pool(context, 0, context.dtype(0));
}

void infer_global_lp(InferContext& context) {
  read_p(context.attrs());
  infer_global(context);
}

template <class F>
void evaluate_global(EvalContext& context, F f) {
  const Tensor& x = context.input(0);
  const int64_t area = element_count(std::span(x.shape()).subspan(2));
  if (area == 0) fail_invalid("a pool over no elements: {}", tensor_type(x).text());
  Shape shape(x.shape().size(), 1);
  std::copy_n(x.shape().begin(), 2, shape.begin());
  const std::vector<double> in = read_as<double>(x);
  std::vector<double> out(static_cast<size_t>(element_count(shape)));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = f(std::span(in).subspan(i * static_cast<size_t>(area), static_cast<size_t>(area)));
  context.set_output(0, make_from(x.dtype(), std::move(shape), out));
}

void evaluate_global_average(EvalContext& context) {
  evaluate_global(context, [](std::span<const double> plane) {
    double sum = 0;
    for (double v : plane) sum += v;
    return sum / static_cast<double>(plane.size());
  });
}

void evaluate_global_max(EvalContext& context) {
  evaluate_global(context, [](std::span<const double> plane) {
    double best = plane[0];
    for (double v : plane) best = exceeds(v, best) ? v : best;
    return best;
  });
}

void evaluate_global_lp(EvalContext& context) {
  const auto p = static_cast<double>(read_p(context.attrs()));
  evaluate_global(context, [p](std::span<const double> plane) {
    double sum = 0;
    for (double v : plane) sum += std::pow(std::abs(v), p);
    return std::pow(sum, 1 / p);
  });
}

constexpr AttrSpec kKernel{"kernel_shape", AttrKind::kInts, true};

OpDef global_pool(std::string_view name, std::vector<int> versions, void (*evaluate)(EvalContext&),
                  QuantRole role) {
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {1, 1},
          .outputs = {1, 1},
          .infer = infer_global,
          .evaluate = evaluate,
          .axes = pool_axes,
          .role = role};
}

}  // namespace

const OpDef& op_AveragePool() {
  static const OpDef def{.name = "AveragePool",
                         .versions = {7, 10, 11, 19, 22},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .attrs = {kAutoPadSpec,
                                   kKernel,
                                   kPadsSpec,
                                   kStridesSpec,
                                   {"count_include_pad", AttrKind::kInt},
                                   {.name = "ceil_mode", .kind = AttrKind::kInt, .since = 10},
                                   {.name = "dilations", .kind = AttrKind::kInts, .since = 19}},
                         .infer = infer_pool,
                         .evaluate = evaluate_average_pool,
                         .axes = pool_axes,
                         .role = QuantRole::kCompute,
                         .upgrades = {{7, keep_as_it_is}}};
  return def;
}

const OpDef& op_MaxPool() {
  static const OpDef def{.name = "MaxPool",
                         .versions = {1, 8, 10, 11, 12, 22},
                         .inputs = {1, 1},
                         .outputs = {1, 2},
                         .attrs = {kAutoPadSpec,
                                   kKernel,
                                   kPadsSpec,
                                   kStridesSpec,
                                   {.name = "storage_order", .kind = AttrKind::kInt, .since = 8},
                                   {.name = "ceil_mode", .kind = AttrKind::kInt, .since = 10},
                                   {.name = "dilations", .kind = AttrKind::kInts, .since = 10}},
                         .infer = infer_max_pool,
                         .evaluate = evaluate_max_pool,
                         .axes = pool_axes,
                         .role = QuantRole::kPassThrough};
  return def;
}

const OpDef& op_LpPool() {
  static const OpDef def{.name = "LpPool",
                         .versions = {2, 11, 18, 22},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .attrs = {kAutoPadSpec,
                                   kKernel,
                                   kPadsSpec,
                                   kStridesSpec,
                                   {"p", AttrKind::kInt},
                                   {.name = "ceil_mode", .kind = AttrKind::kInt, .since = 18},
                                   {.name = "dilations", .kind = AttrKind::kInts, .since = 18}},
                         .infer = infer_lp_pool,
                         .evaluate = evaluate_lp_pool,
                         .axes = pool_axes};
  return def;
}

const OpDef& op_GlobalAveragePool() {
  static const OpDef def =
      global_pool("GlobalAveragePool", {1, 22}, evaluate_global_average, QuantRole::kCompute);
  return def;
}

const OpDef& op_GlobalMaxPool() {
  static const OpDef def =
      global_pool("GlobalMaxPool", {1, 22}, evaluate_global_max, QuantRole::kPassThrough);
  return def;
}

const OpDef& op_GlobalLpPool() {
  static const OpDef def = [] {
    OpDef row = global_pool("GlobalLpPool", {2, 22}, evaluate_global_lp, QuantRole::kNone);
    row.attrs = {{"p", AttrKind::kInt}};
    row.infer = infer_global_lp;
    return row;
  }();
  return def;
}

}  // namespace lapidary
