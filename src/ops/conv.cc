#include "src/ops/conv.h"

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/elements.h"

namespace lapidary {

namespace {

int64_t read_group(const AttrView& attrs) {
  const int64_t group = attrs.get_int("group", 1);
  if (group < 1) fail_invalid("group is {}, expected 1 or more", group);
  return group;
}

/// Kernel sizes by the weight, which `kernel_shape` must repeat where it is given.
std::vector<int64_t> kernel_sizes(const AttrView& attrs, const std::vector<Dim>& w) {
  const std::vector<int64_t> written = attrs.get_ints("kernel_shape");
  if (attrs.has("kernel_shape") && written.size() + 2 != w.size())
    fail_invalid("kernel_shape is {}, the weight has rank {}", shape_text(written), w.size());
  std::vector<int64_t> kernel;
  for (size_t i = 2; i < w.size(); ++i) {
    if (w[i].known() && !written.empty() && w[i].value != written[i - 2])
      fail_invalid("kernel_shape is {}, the weight is {}", shape_text(written),
                   TensorType{DType::kUndefined, w}.text());
    kernel.push_back(w[i].known() ? w[i].value : written.empty() ? -1 : written[i - 2]);
  }
  return kernel;
}

void check_channels(const std::vector<Dim>& x, const std::vector<Dim>& w, int64_t group) {
  if (w[1].known() && x[1].known() && checked_mul(w[1].value, group) != x[1].value)
    fail_invalid("the weight expects {} x {} input channels (group {}), the input has {}",
                 w[1].value, group, group, x[1].value);
  if (w[0].known() && w[0].value % group != 0)
    fail_invalid("group {} does not divide {} output channels", group, w[0].value);
  if (x[1].known() && x[1].value % group != 0)
    fail_invalid("group {} does not divide {} input channels", group, x[1].value);
}

}  // namespace

std::optional<std::vector<Dim>> conv_output_shape(const InferContext& context, size_t x_input,
                                                  size_t w_input) {
  const int64_t group = read_group(context.attrs());
  const auto* x = context.shape(x_input);
  const auto* w = context.shape(w_input);
  context.require_rank(x_input, 3, -1);
  context.require_rank(w_input, 3, -1);
  if (x == nullptr || w == nullptr) return std::nullopt;
  if (x->size() != w->size())
    fail_invalid("the input is {}, the weight {}: ranks must be equal",
                 context.type(x_input).text(), context.type(w_input).text());
  check_channels(*x, *w, group);
  std::vector<Dim> out{(*x)[0], (*w)[0]};
  std::vector<int64_t> kernel = kernel_sizes(context.attrs(), *w);
  const bool known = std::ranges::none_of(kernel, [](int64_t k) { return k < 0; });
  if (!known) {
    out.resize(x->size());
    return out;
  }
  const WindowAttrs window = read_window(context.attrs(), std::move(kernel));
  for (size_t i = 0; i < window.rank(); ++i) out.push_back(window_output(window, i, (*x)[i + 2]));
  return out;
}

void check_conv_bias(const InferContext& context, size_t bias, size_t w) {
  if (!context.has_input(bias)) return;
  context.require_rank(bias, 1, 1);
  const auto* b = context.shape(bias);
  const auto* weight = context.shape(w);
  if (b == nullptr || weight == nullptr || weight->empty()) return;
  const Dim &found = (*b)[0], &expected = (*weight)[0];
  if (found.known() && expected.known() && found.value != expected.value)
    fail_invalid("the bias has {} elements, the weight {} output channels", found.value,
                 expected.value);
}

ConvGeometry conv_geometry(const AttrView& attrs, const Shape& x, const Shape& w) {
  const WindowAttrs window = read_window(attrs, {w.begin() + 2, w.end()});
  ConvGeometry g{.batch = x[0],
                 .in_channels = x[1],
                 .out_channels = w[0],
                 .group = read_group(attrs),
                 .axes = resolve_window(window, std::span(x).subspan(2)),
                 .output = {x[0], w[0]}};
  for (size_t i = 5 - x.size(); i < 3; ++i) g.output.push_back(g.axes[i].out);
  return g;
}

void tie_conv_channels(AxisFlow& flow, size_t x, size_t w) {
  const AxisRef in = flow.input(x, 1), out = flow.output(0, 1);
  const AxisRef rows = flow.input(w, 0), columns = flow.input(w, 1);
  tie_or_freeze(flow, flow.input(x, 0), flow.output(0, 0));
  tie_or_freeze(flow, out, rows);
  const int64_t groups = read_group(flow.attrs());
  if (groups == 1) {
    tie_or_freeze(flow, in, columns);
  } else if (flow.size(in) < 0 || flow.size(rows) < 0 || flow.size(columns) < 0) {
    for (const AxisRef axis : {in, rows, columns})
      flow.freeze(axis, "channels of groups, not all sizes of which are known");
  } else {  // x: [g * i], w: [g * o, i]
    const AxisRef g = flow.local(groups), i = flow.local(flow.size(columns)),
                  o = flow.local(flow.size(rows) / groups);
    flow.multiply(in, {g, i});
    flow.multiply(rows, {g, o});
    flow.tie(columns, i);
    flow.attr_is("group", -1, {.axis = g});
  }
  flow.sums(in);
}

int64_t conv_macs_of(const TensorType& w, const TensorType& y) {
  const Shape weight = w.static_shape();
  const int64_t per_output = element_count(std::span(weight).subspan(1));
  return checked_mul(element_count(y.static_shape()), per_output);
}

namespace {

// y[n,m,o] = b[m] + sum_{c,k} x[n, c, o stride + k dilation - pad] w[m,c,k]

void infer_conv(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  context.require_same_dtype(0, 1);
  if (context.has_input(2)) context.require_same_dtype(0, 2);
  check_conv_bias(context, 2, 1);
  context.set_type(0, TensorType{context.dtype(0), conv_output_shape(context, 0, 1)});
}

/// float32, float16 and bfloat16 are summed in float64 and rounded once: the judge of float kernels
/// should have no rounding of its own.
template <class In>
void run_conv(EvalContext& context) {
  const Tensor &x = context.input(0), &w = context.input(1);
  const ConvGeometry g = conv_geometry(context.attrs(), x.shape(), w.shape());
  const std::vector<In> in = read_as<In>(x), weight = read_as<In>(w);
  const std::vector<double> bias =
      context.has_input(2) ? read_as<double>(context.input(2)) : std::vector<double>();
  std::vector<double> out(static_cast<size_t>(element_count(g.output)));
  convolve<double, In>(g, in, weight, [&](int64_t n, int64_t m, std::span<const double> acc) {
    const double b = bias.empty() ? 0 : bias[static_cast<size_t>(m)];
    double* to = out.data() + (n * g.out_channels + m) * g.out_area();
    for (size_t i = 0; i < acc.size(); ++i) to[i] = acc[i] + b;
  });
  context.set_output(0, make_from(x.dtype(), g.output, out));
}

void evaluate_conv(EvalContext& context) {
  if (context.input(0).dtype() == DType::kF64)
    run_conv<double>(context);
  else
    run_conv<float>(context);
}

void conv_axes(AxisFlow& flow) {
  tie_conv_channels(flow, 0, 1);
  tie_parameter(flow, 2, flow.input(1, 0));
}

int64_t conv_macs(const AttrView&, std::span<const TensorType> inputs,
                  std::span<const TensorType> outputs) {
  return conv_macs_of(inputs[1], outputs[0]);
}

}  // namespace

const OpDef& op_Conv() {
  static const OpDef def{.name = "Conv",
                         .versions = {1, 11, 22},
                         .inputs = {2, 3},
                         .outputs = {1, 1},
                         .attrs = {kAutoPadSpec,
                                   {"dilations", AttrKind::kInts},
                                   {"group", AttrKind::kInt},
                                   {"kernel_shape", AttrKind::kInts},
                                   kPadsSpec,
                                   kStridesSpec},
                         .infer = infer_conv,
                         .evaluate = evaluate_conv,
                         .axes = conv_axes,
                         .role = QuantRole::kCompute,
                         .weight = {1, [](const AttrView&, int64_t) -> int64_t { return 0; }, 2},
                         .macs = conv_macs};
  return def;
}

}  // namespace lapidary
