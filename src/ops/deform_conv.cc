#include <cmath>

#include "src/base/checked.h"
#include "src/ops/conv.h"
#include "src/ops/elements.h"

// y[n,m,o] = b[m] + sum_{c,k} w[m,c,k] mask[n,g,k,o] x[n, c, o stride + k dilation - pad +
// offset[n,g,k,:,o]] with g = the offset group of channel c; x is read bilinearly, 0 outside the
// image.

namespace lapidary {

namespace {

int64_t offset_groups(const AttrView& attrs) {
  const int64_t groups = attrs.get_int("offset_group", 1);
  if (groups < 1) fail_invalid("offset_group is {}, expected 1 or more", groups);
  return groups;
}

/// [N, offset groups x kernel area x `each`, out...], as far as y and w are known.
void check_points(const InferContext& ctx, size_t input, int64_t each, const std::vector<Dim>& y) {
  if (!ctx.has_input(input)) return;
  ctx.require_same_dtype(0, input);
  ctx.require_rank(input, 4, 4);
  const auto *points = ctx.shape(input), *w = ctx.shape(1);
  if (points == nullptr) return;
  std::vector<Dim> expected = y;
  expected[1] = Dim();
  if ((*w)[2].known() && (*w)[3].known())
    expected[1] =
        element_count(std::array{offset_groups(ctx.attrs()), each, (*w)[2].value, (*w)[3].value});
  for (size_t i = 0; i < 4; ++i)
    if ((*points)[i].known() && expected[i].known() && (*points)[i].value != expected[i].value)
      fail_invalid("input {} is {}, expected {}", input, ctx.type(input).text(),
                   TensorType{ctx.dtype(0), expected}.text());
}

void infer(InferContext& ctx) {
  ctx.require_dtype(0, kFloatDTypes);
  ctx.require_same_dtype(0, 1);
  ctx.require_same_dtype(0, 2);
  if (ctx.has_input(3)) ctx.require_same_dtype(0, 3);
  check_conv_bias(ctx, 3, 1);
  const auto y = conv_output_shape(ctx, 0, 1);
  const int64_t groups = offset_groups(ctx.attrs());
  if (y) {
    if (y->size() != 4)
      fail_unsupported("an input of rank {}: only images are computed", y->size());
    const Dim& channels = (*ctx.shape(0))[1];
    if (channels.known() && channels.value % groups != 0)
      fail_invalid("offset_group {} does not divide {} channels", groups, channels.value);
    check_points(ctx, 2, 2, *y);
    check_points(ctx, 4, 1, *y);
  }
  ctx.set_type(0, TensorType{ctx.dtype(0), y});
}

/// Between the four neighbours of (y, x).
double bilinear(const double* plane, const WindowAxis& rows, const WindowAxis& columns, double y,
                double x) {
  if (!(y > -1 && x > -1 && y < static_cast<double>(rows.in) &&
        x < static_cast<double>(columns.in)))
    return 0;
  const double top = std::floor(y), left = std::floor(x);
  double sum = 0;
  for (const int64_t dy : {0, 1})
    for (const int64_t dx : {0, 1}) {
      const int64_t at_y = static_cast<int64_t>(top) + dy, at_x = static_cast<int64_t>(left) + dx;
      if (at_y < 0 || at_x < 0 || at_y >= rows.in || at_x >= columns.in) continue;
      sum += plane[at_y * columns.in + at_x] * (dy ? y - top : 1 - (y - top)) *
             (dx ? x - left : 1 - (x - left));
    }
  return sum;
}

struct Inputs {
  std::vector<double> x, w, offset, bias, mask;  ///< the last two may be empty
  int64_t offset_groups = 1;
};

Inputs read_inputs(const EvalContext& ctx) {
  const auto optional = [&](size_t i) {
    return ctx.has_input(i) ? read_as<double>(ctx.input(i)) : std::vector<double>();
  };
  return {read_as<double>(ctx.input(0)),
          read_as<double>(ctx.input(1)),
          read_as<double>(ctx.input(2)),
          optional(3),
          optional(4),
          offset_groups(ctx.attrs())};
}

/// What the weights of image n multiply: [c, k, o].
void read_taps(const ConvGeometry& g, const Inputs& in, int64_t n, std::vector<double>& taps) {
  const WindowAxis &rows = g.axes[1], &columns = g.axes[2];
  const int64_t kernel = g.kernel_area(), area = g.out_area();
  const int64_t channels_a_group = g.in_channels / in.offset_groups;
  double* to = taps.data();
  for (int64_t c = 0; c < g.in_channels; ++c)
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t point = (n * in.offset_groups + c / channels_a_group) * kernel + k;
      const double* dy = in.offset.data() + 2 * point * area;
      const double* dx = dy + area;
      const double* mask = in.mask.empty() ? nullptr : in.mask.data() + point * area;
      const double* plane = in.x.data() + (n * g.in_channels + c) * g.in_area();
      for (int64_t o = 0; o < area; ++o) {
        const int64_t y = o / columns.out * rows.stride + k / columns.kernel * rows.dilation;
        const int64_t x = o % columns.out * columns.stride + k % columns.kernel * columns.dilation;
        const double value =
            bilinear(plane, rows, columns, static_cast<double>(y - rows.pad_begin) + dy[o],
                     static_cast<double>(x - columns.pad_begin) + dx[o]);
        *to++ = mask ? value * mask[o] : value;
      }
    }
}

void evaluate(EvalContext& ctx) {
  const ConvGeometry g = conv_geometry(ctx.attrs(), ctx.input(0).shape(), ctx.input(1).shape());
  const Inputs in = read_inputs(ctx);
  const int64_t area = g.out_area(), terms = g.group_in() * g.kernel_area();
  const int64_t tap_count = element_count(std::array{g.in_channels, g.kernel_area(), area});
  require_memory(checked_mul(tap_count, int64_t{sizeof(double)}));
  std::vector<double> taps(static_cast<size_t>(tap_count));
  std::vector<double> out(static_cast<size_t>(element_count(g.output)));
  for (int64_t n = 0; n < g.batch; ++n) {
    read_taps(g, in, n, taps);
    for (int64_t m = 0; m < g.out_channels; ++m) {
      const double* tap = taps.data() + m / (g.out_channels / g.group) * terms * area;
      double* to = out.data() + (n * g.out_channels + m) * area;
      if (!in.bias.empty()) std::fill_n(to, area, in.bias[static_cast<size_t>(m)]);
      for (int64_t i = 0; i < terms; ++i)
        for (int64_t o = 0; o < area; ++o)
          to[o] += in.w[static_cast<size_t>(m * terms + i)] * *tap++;
    }
  }
  ctx.set_output(0, make_from(ctx.input(0).dtype(), g.output, out));
}

}  // namespace

const OpDef& op_DeformConv() {
  static const OpDef def{.name = "DeformConv",
                         .versions = {19, 22},
                         .inputs = {3, 5},
                         .outputs = {1, 1},
                         .attrs = {{"dilations", AttrKind::kInts},
                                   {"group", AttrKind::kInt},
                                   {"kernel_shape", AttrKind::kInts},
                                   {"offset_group", AttrKind::kInt},
                                   kPadsSpec,
                                   kStridesSpec},
                         .infer = infer,
                         .evaluate = evaluate,
                         .macs = [](const AttrView&, std::span<const TensorType> inputs,
                                    std::span<const TensorType> outputs) {
                           return conv_macs_of(inputs[1], outputs[0]);
                         }};
  return def;
}

}  // namespace lapidary
