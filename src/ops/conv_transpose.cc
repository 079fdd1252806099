#include "src/ops/conv_transpose.h"

#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/conv.h"
#include "src/ops/elements.h"

// The gradient of a convolution: x [N, C, in...], w [C, M/group, kernel...],
// y[n, m, i stride + k dilation - pad] += x[n,c,i] w[c,m,k]

namespace lapidary {

namespace {

using Axis = ConvTransposeAxis;

struct Attributes {
  WindowAttrs window;
  std::vector<int64_t> output_padding, output_shape;
  int64_t group = 1;
};

Attributes read_attributes(const AttrView& attrs, std::vector<int64_t> kernel) {
  const size_t rank = kernel.size();
  Attributes out{.window = read_window(attrs, std::move(kernel)),
                 .output_padding = attrs.get_ints("output_padding", std::vector<int64_t>(rank)),
                 .output_shape = attrs.get_ints("output_shape")};
  if (out.output_padding.empty()) out.output_padding.resize(rank);
  // output_shape may list N and M as well.
  if (out.output_shape.size() == rank + 2)
    out.output_shape.erase(out.output_shape.begin(), out.output_shape.begin() + 2);
  if (!out.output_shape.empty() && out.output_shape.size() != rank)
    fail_invalid("output_shape {} for {} spatial axes", shape_text(out.output_shape), rank);
  if (out.output_padding.size() != rank)
    fail_invalid("output_padding {} for {} spatial axes", shape_text(out.output_padding), rank);
  for (size_t i = 0; i < rank; ++i) {
    if (out.output_padding[i] < 0 ||
        out.output_padding[i] >= std::max(out.window.strides[i], out.window.dilations[i]))
      fail_invalid("output_padding {}: each must be at least 0 and below the stride or dilation",
                   shape_text(out.output_padding));
    if (!out.output_shape.empty() && out.output_shape[i] < 1)
      fail_invalid("output_shape {}", shape_text(out.output_shape));
  }
  return out;
}

Axis resolve(const Attributes& a, size_t i, int64_t in) {
  using AutoPad = WindowAttrs::AutoPad;
  const WindowAttrs& w = a.window;
  Axis axis{.in = in, .kernel = w.kernel[i], .stride = w.strides[i], .dilation = w.dilations[i]};
  // Without padding: stride (in - 1) + output_padding + span
  const int64_t full =
      checked_add(checked_mul(axis.stride, in - 1), a.output_padding[i] + w.span(i));
  const bool same = w.auto_pad == AutoPad::kSameUpper || w.auto_pad == AutoPad::kSameLower;
  int64_t total = w.auto_pad == AutoPad::kNotSet ? w.pads[i] + w.pads[i + w.rank()] : 0;
  axis.pad = w.auto_pad == AutoPad::kNotSet ? w.pads[i] : 0;
  if (!a.output_shape.empty() || same) {
    axis.out = a.output_shape.empty() ? checked_mul(in, axis.stride) : a.output_shape[i];
    total = std::max<int64_t>(0, full - axis.out);
    // The odd element goes to the end for SAME_UPPER, else to the beginning.
    axis.pad = w.auto_pad == AutoPad::kSameUpper ? total / 2 : total - total / 2;
  } else {
    axis.out = full - total;
  }
  if (axis.out < 1)
    fail_invalid("the output along spatial axis {} has {} elements (input {}, pads {})", i,
                 axis.out, in, total);
  return axis;
}

std::vector<int64_t> kernel_of(const AttrView& attrs, const std::vector<Dim>& w) {
  const std::vector<int64_t> written = attrs.get_ints("kernel_shape");
  std::vector<int64_t> out;
  for (size_t i = 2; i < w.size(); ++i) {
    const bool listed = attrs.has("kernel_shape");
    if (listed &&
        (written.size() + 2 != w.size() || (w[i].known() && written[i - 2] != w[i].value)))
      fail_invalid("kernel_shape is {}, the weight is {}", shape_text(written),
                   TensorType{DType::kUndefined, w}.text());
    if (!w[i].known() && !listed) return {};
    out.push_back(w[i].known() ? w[i].value : written[i - 2]);
  }
  return out;
}

void infer_conv_transpose(InferContext& context) {
  context.require_dtype(0, kFloatDTypes);
  context.require_same_dtype(0, 1);
  if (context.has_input(2)) context.require_same_dtype(0, 2);
  context.require_rank(0, 3, -1);
  context.require_rank(1, 3, -1);
  const auto* x = context.shape(0);
  const auto* w = context.shape(1);
  const int64_t group = context.attrs().get_int("group", 1);
  if (group < 1) fail_invalid("group is {}, expected 1 or more", group);
  if (x == nullptr || w == nullptr) return context.set_type(0, context.dtype(0));
  if (x->size() != w->size())
    fail_invalid("the input is {}, the weight {}: ranks must be equal", context.type(0).text(),
                 context.type(1).text());
  const Dim channels = (*w)[0];
  if (channels.known() && (*x)[1].known() && channels.value != (*x)[1].value)
    fail_invalid("the weight expects {} input channels, the input has {}", channels.value,
                 (*x)[1].value);
  if (channels.known() && channels.value % group != 0)
    fail_invalid("group {} does not divide {} input channels", group, channels.value);
  const Dim out_channels = (*w)[1].known() ? Dim(checked_mul((*w)[1].value, group)) : Dim();
  if (const auto* b = context.shape(2)) {
    context.require_rank(2, 1, 1);
    if ((*b)[0].known() && out_channels.known() && (*b)[0].value != out_channels.value)
      fail_invalid("the bias has {} elements for {} output channels", (*b)[0].value,
                   out_channels.value);
  }
  std::vector<Dim> out{(*x)[0], out_channels};
  const std::vector<int64_t> kernel = kernel_of(context.attrs(), *w);
  if (kernel.empty()) {
    out.resize(x->size());
  } else {
    const Attributes a = read_attributes(context.attrs(), kernel);
    for (size_t i = 0; i < kernel.size(); ++i)
      out.push_back(!a.output_shape.empty() ? Dim(a.output_shape[i])
                    : (*x)[i + 2].known()   ? Dim(resolve(a, i, (*x)[i + 2].value).out)
                                            : Dim());
  }
  context.set_type(0, context.dtype(0), std::move(out));
}

}  // namespace

std::vector<Axis> conv_transpose_axes(const AttrView& attrs, const Shape& x, const Shape& w) {
  const Attributes a = read_attributes(attrs, {w.begin() + 2, w.end()});
  std::vector<Axis> axes;
  for (size_t i = 0; i + 2 < x.size(); ++i) axes.push_back(resolve(a, i, x[i + 2]));
  return axes;
}

namespace {

struct Geometry {
  std::array<Axis, 3> axes;
  int64_t batch, in_channels, group_in, group_out;
  Shape output;
};

Geometry geometry_of(const EvalContext& context) {
  const Shape &x = context.input(0).shape(), &w = context.input(1).shape();
  const std::vector<Axis> axes = conv_transpose_axes(context.attrs(), x, w);
  const size_t spatial = axes.size();
  if (spatial > 3) fail_unsupported("{} spatial axes; up to 3 are computed", spatial);
  const int64_t group = context.attrs().get_int("group", 1);
  Geometry g{.batch = x[0],
             .in_channels = x[1],
             .group_in = x[1] / group,
             .group_out = w[1],
             .output = {x[0], w[1] * group}};
  for (size_t i = 0; i < spatial; ++i) {
    g.axes[3 - spatial + i] = axes[i];
    g.output.push_back(axes[i].out);
  }
  return g;
}

/// Adds what input row `from` gives through kernel row `tap` to the output row `to`.
void scatter_row(const Axis& v, const double* from, const double* tap, double* to) {
  for (int64_t i = 0; i < v.in; ++i)
    for (int64_t k = 0; k < v.kernel; ++k) {
      const int64_t o = i * v.stride + k * v.dilation - v.pad;
      if (o >= 0 && o < v.out) to[o] += from[i] * tap[k];
    }
}

/// One output plane: all channels of the group, in float64.
void compute_plane(const Geometry& g, const double* x, const double* w, double* to) {
  const auto& [d, h, v] = g.axes;
  const int64_t in_area = d.in * h.in * v.in, kernel_area = d.kernel * h.kernel * v.kernel;
  for (int64_t c = 0; c < g.group_in; ++c)
    for (int64_t id = 0; id < d.in; ++id)
      for (int64_t kd = 0; kd < d.kernel; ++kd) {
        const int64_t od = id * d.stride + kd * d.dilation - d.pad;
        if (od < 0 || od >= d.out) continue;
        for (int64_t ih = 0; ih < h.in; ++ih)
          for (int64_t kh = 0; kh < h.kernel; ++kh) {
            const int64_t oh = ih * h.stride + kh * h.dilation - h.pad;
            if (oh < 0 || oh >= h.out) continue;
            scatter_row(v, x + c * in_area + (id * h.in + ih) * v.in,
                        w + c * g.group_out * kernel_area + (kd * h.kernel + kh) * v.kernel,
                        to + (od * h.out + oh) * v.out);
          }
      }
}

void evaluate_conv_transpose(EvalContext& context) {
  const Geometry g = geometry_of(context);
  const std::vector<double> x = read_as<double>(context.input(0));
  const std::vector<double> w = read_as<double>(context.input(1));
  const std::vector<double> bias =
      context.has_input(2) ? read_as<double>(context.input(2)) : std::vector<double>();
  const auto& [d, h, v] = g.axes;
  const int64_t in_area = d.in * h.in * v.in, out_area = d.out * h.out * v.out;
  const int64_t kernel_area = d.kernel * h.kernel * v.kernel, out_channels = g.output[1];
  std::vector<double> out(static_cast<size_t>(element_count(g.output)));
  parallel_for(g.batch * out_channels, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t n = plane / out_channels, m = plane % out_channels;
      const int64_t first = m / g.group_out * g.group_in;
      double* to = out.data() + plane * out_area;
      if (!bias.empty()) std::fill_n(to, out_area, bias[static_cast<size_t>(m)]);
      compute_plane(g, x.data() + (n * g.in_channels + first) * in_area,
                    w.data() + (first * g.group_out + m % g.group_out) * kernel_area, to);
    }
  });
  context.set_output(0, make_from(context.input(0).dtype(), g.output, out));
}

/// x: [N, g * i, ...], w: [g * i, o, ...], y: [N, g * o, ...]
void channel_axes(AxisFlow& flow) {
  const AxisRef in = flow.input(0, 1), rows = flow.input(1, 0), columns = flow.input(1, 1);
  const AxisRef out = flow.output(0, 1);
  tie_or_freeze(flow, flow.input(0, 0), flow.output(0, 0));
  tie_or_freeze(flow, in, rows);
  tie_parameter(flow, 2, out);
  const int64_t groups = flow.attrs().get_int("group", 1);
  if (groups == 1) {
    tie_or_freeze(flow, out, columns);
  } else if (flow.size(rows) < 0 || flow.size(columns) < 0 || flow.size(out) < 0) {
    for (const AxisRef axis : {rows, columns, out})
      flow.freeze(axis, "channels of groups, not all sizes of which are known");
  } else {
    const AxisRef g = flow.local(groups), i = flow.local(flow.size(rows) / groups),
                  o = flow.local(flow.size(columns));
    flow.multiply(rows, {g, i});
    flow.multiply(out, {g, o});
    flow.tie(columns, o);
    flow.attr_is("group", -1, {.axis = g});
  }
  flow.sums(in);
}

/// N C in area * (M/group) * kernel area: every input element meets every tap.
int64_t conv_transpose_macs(const AttrView&, std::span<const TensorType> inputs,
                            std::span<const TensorType>) {
  const Shape w = inputs[1].static_shape();
  return checked_mul(element_count(inputs[0].static_shape()),
                     element_count(std::span(w).subspan(1)));
}

}  // namespace

const OpDef& op_ConvTranspose() {
  static const OpDef def{.name = "ConvTranspose",
                         .versions = {1, 11, 22},
                         .inputs = {2, 3},
                         .outputs = {1, 1},
                         .attrs = {kAutoPadSpec,
                                   {"dilations", AttrKind::kInts},
                                   {"group", AttrKind::kInt},
                                   {"kernel_shape", AttrKind::kInts},
                                   {"output_padding", AttrKind::kInts},
                                   {"output_shape", AttrKind::kInts},
                                   kPadsSpec,
                                   kStridesSpec},
                         .infer = infer_conv_transpose,
                         .evaluate = evaluate_conv_transpose,
                         .axes = channel_axes,
                         .role = QuantRole::kCompute,
                         .weight = {1, [](const AttrView&, int64_t) -> int64_t { return 1; }, 2},
                         .macs = conv_transpose_macs};
  return def;
}

}  // namespace lapidary
