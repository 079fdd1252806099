#include <cmath>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

// Fast R-CNN's pooling: a region is rounded to whole elements, its bins to whole elements outwards,
// so that they overlap; a bin outside the image is 0.

struct Rules {
  int64_t height = 0, width = 0;
  double scale = 1;
};

Rules read_rules(const AttrView& attrs) {
  const std::vector<int64_t> shape = attrs.get_ints("pooled_shape");
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1)
    fail_invalid("pooled_shape is {}, expected two positive sizes", shape_text(shape));
  const double scale = static_cast<double>(attrs.get_float("spatial_scale", 1));
  if (!std::isfinite(scale)) fail_invalid("spatial_scale is {}", scale);
  return {shape[0], shape[1], scale};
}

/// X [N, C, H, W], rois [R, 5] (image, x1, y1, x2, y2) -> [R, C, height, width]
void infer(InferContext& ctx) {
  const Rules rules = read_rules(ctx.attrs());
  ctx.require_dtype(0, kFloatDTypes);
  ctx.require_same_dtype(0, 1);
  ctx.require_rank(0, 4, 4);
  ctx.require_rank(1, 2, 2);
  if (ctx.shape(1)) unify_dim((*ctx.shape(1))[1], 5);
  ctx.set_type(0, ctx.dtype(0),
               {ctx.shape(1) ? (*ctx.shape(1))[0] : Dim(),
                ctx.shape(0) ? (*ctx.shape(0))[1] : Dim(), rules.height, rules.width});
}

struct Bin {
  int64_t begin = 0, end = 0;
};

/// The bins of [first, last] along an axis of `size` elements.
std::vector<Bin> bins_of(double first, double last, double scale, int64_t bins, int64_t size) {
  // Beyond the image nothing is counted; the limit keeps the rounded numbers integers.
  constexpr double kFar = 1e15;
  const double begin = std::round(first * scale), end = std::round(last * scale);
  if (!(std::abs(begin) < kFar && std::abs(end) < kFar))
    fail_invalid("a region from {} to {}", first, last);
  const double length = std::max(end - begin + 1, 1.0) / static_cast<double>(bins);
  const auto inside = [&](double at) {
    return static_cast<int64_t>(std::clamp(at + begin, 0.0, static_cast<double>(size)));
  };
  std::vector<Bin> out;
  for (int64_t b = 0; b < bins; ++b)
    out.push_back({inside(std::floor(static_cast<double>(b) * length)),
                   inside(std::ceil(static_cast<double>(b + 1) * length))});
  return out;
}

double largest(const double* plane, int64_t width, Bin rows, Bin columns) {
  if (rows.begin >= rows.end || columns.begin >= columns.end) return 0;
  double out = plane[rows.begin * width + columns.begin];
  for (int64_t y = rows.begin; y < rows.end; ++y)
    for (int64_t x = columns.begin; x < columns.end; ++x) out = std::max(out, plane[y * width + x]);
  return out;
}

void evaluate(EvalContext& ctx) {
  const Rules rules = read_rules(ctx.attrs());
  const Tensor& x = ctx.input(0);
  const std::vector<double> pixels = read_as<double>(x), rois = read_as<double>(ctx.input(1));
  const int64_t channels = x.dim(1), height = x.dim(2), width = x.dim(3);
  const int64_t regions = ctx.input(1).dim(0);
  std::vector<double> out;
  for (int64_t r = 0; r < regions; ++r) {
    const double* region = rois.data() + r * 5;
    if (!(region[0] >= 0 && region[0] < static_cast<double>(x.dim(0))))
      fail_invalid("image {} of region {}, expected 0 to {}", region[0], r, x.dim(0) - 1);
    const auto image = static_cast<int64_t>(region[0]);
    const auto columns = bins_of(region[1], region[3], rules.scale, rules.width, width);
    const auto rows = bins_of(region[2], region[4], rules.scale, rules.height, height);
    for (int64_t c = 0; c < channels; ++c)
      for (const Bin& row : rows)
        for (const Bin& column : columns)
          out.push_back(
              largest(pixels.data() + (image * channels + c) * height * width, width, row, column));
  }
  ctx.set_output(0, make_from(x.dtype(), {regions, channels, rules.height, rules.width}, out));
}

}  // namespace

const OpDef& op_MaxRoiPool() {
  static const OpDef def{
      .name = "MaxRoiPool",
      .versions = {1, 22},
      .inputs = {2, 2},
      .outputs = {1, 1},
      .attrs = {{"pooled_shape", AttrKind::kInts, true}, {"spatial_scale", AttrKind::kFloat}},
      .infer = infer,
      .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
