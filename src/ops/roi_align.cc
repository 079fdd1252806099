#include <algorithm>
#include <array>
#include <cmath>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

struct Rules {
  bool maximum = false;    ///< of the weighted corners, not their sum's average
  bool half_pixel = true;  ///< from version 16
  int64_t height = 1, width = 1, samples = 0;
  double scale = 1;
};

Rules read_rules(const AttrView& attrs) {
  Rules rules;
  const std::string mode = attrs.get_string("mode", "avg");
  if (mode != "avg" && mode != "max") fail_invalid("mode is '{}', expected avg or max", mode);
  rules.maximum = mode == "max";
  const std::string coordinates = attrs.get_string(
      "coordinate_transformation_mode", attrs.version() < 16 ? "output_half_pixel" : "half_pixel");
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    fail_invalid("coordinate_transformation_mode is '{}', expected half_pixel or output_half_pixel",
                 coordinates);
  rules.half_pixel = coordinates == "half_pixel";
  rules.height = attrs.get_int("output_height", 1);
  rules.width = attrs.get_int("output_width", 1);
  rules.samples = attrs.get_int("sampling_ratio", 0);
  rules.scale = static_cast<double>(attrs.get_float("spatial_scale", 1));
  if (rules.height < 1 || rules.width < 1 || rules.samples < 0)
    fail_invalid("output {}x{} with sampling_ratio {}, expected positive sizes", rules.height,
                 rules.width, rules.samples);
  return rules;
}

/// X [N, C, H, W], rois [R, 4], batch_indices [R] -> [R, C, height, width]
void infer(InferContext& ctx) {
  const Rules rules = read_rules(ctx.attrs());
  ctx.require_dtype(0, kFloatDTypes);
  ctx.require_same_dtype(0, 1);
  ctx.require_dtype(2, kI64Only);
  ctx.require_rank(0, 4, 4);
  ctx.require_rank(1, 2, 2);
  ctx.require_rank(2, 1, 1);
  Dim count, channels;
  if (ctx.shape(0)) channels = (*ctx.shape(0))[1];
  if (ctx.shape(1)) {
    count = (*ctx.shape(1))[0];
    unify_dim((*ctx.shape(1))[1], 4);
  }
  if (ctx.shape(2)) count = unify_dim(count, (*ctx.shape(2))[0]);
  ctx.set_type(0, ctx.dtype(0), {count, channels, rules.height, rules.width});
}

/// Two neighbours along one axis; none outside the image by more than one element.
struct Corners {
  int64_t low = 0, high = 0;
  double low_weight = 0, high_weight = 0;
};

Corners corners(double at, int64_t size) {
  if (!(at >= -1 && at <= static_cast<double>(size))) return {};
  at = std::max(at, 0.0);
  const auto low = static_cast<int64_t>(at);
  if (low >= size - 1) return {size - 1, size - 1, 1, 0};
  const double part = at - static_cast<double>(low);
  return {low, low + 1, 1 - part, part};
}

/// Sample positions along one axis of every bin: `bins` rows of equal length.
std::vector<std::vector<Corners>> sample_axis(const Rules& rules, double begin, double end,
                                              int64_t bins, int64_t size) {
  const double offset = rules.half_pixel ? 0.5 : 0;
  begin = begin * rules.scale - offset;
  end = end * rules.scale - offset;
  double length = end - begin;
  if (!rules.half_pixel) length = std::max(length, 1.0);
  const double bin = length / static_cast<double>(bins);
  // Regions far larger than the image would ask for endless samples.
  constexpr double kMaxSamples = 1 << 16;
  if (!(std::abs(bin) < kMaxSamples))
    fail(ErrorCode::kResource, "a region bin of {} elements", bin);
  const int64_t count = rules.samples > 0 ? rules.samples : static_cast<int64_t>(std::ceil(bin));
  std::vector<std::vector<Corners>> out(static_cast<size_t>(bins));
  for (int64_t b = 0; b < bins; ++b)
    for (int64_t i = 0; i < count; ++i) {
      const double part = (static_cast<double>(i) + 0.5) / static_cast<double>(count);
      out[static_cast<size_t>(b)].push_back(
          corners(begin + (static_cast<double>(b) + part) * bin, size));
    }
  return out;
}

double pool_bin(const Rules& rules, const double* plane, int64_t width,
                const std::vector<Corners>& rows, const std::vector<Corners>& columns) {
  double sum = 0, largest = 0;
  bool first = true;
  for (const Corners& y : rows)
    for (const Corners& x : columns) {
      const std::array<double, 4> parts = {
          y.low_weight * x.low_weight * plane[y.low * width + x.low],
          y.low_weight * x.high_weight * plane[y.low * width + x.high],
          y.high_weight * x.low_weight * plane[y.high * width + x.low],
          y.high_weight * x.high_weight * plane[y.high * width + x.high]};
      sum += parts[0] + parts[1] + parts[2] + parts[3];
      const double top = *std::ranges::max_element(parts);
      largest = first ? top : std::max(largest, top);
      first = false;
    }
  const auto count = static_cast<double>(std::max<size_t>(rows.size() * columns.size(), 1));
  return rules.maximum ? largest : sum / count;
}

void evaluate(EvalContext& ctx) {
  const Rules rules = read_rules(ctx.attrs());
  const Tensor& x = ctx.input(0);
  const std::vector<double> pixels = read_as<double>(x), rois = read_as<double>(ctx.input(1));
  const std::vector<int64_t> images = ctx.ints(2);
  const int64_t channels = x.dim(1), height = x.dim(2), width = x.dim(3);
  if (height == 0 || width == 0) fail_invalid("an image of {}x{} elements", height, width);
  std::vector<double> out;
  for (size_t roi = 0; roi < images.size(); ++roi) {
    const int64_t image = images[roi];
    if (image < 0 || image >= x.dim(0))
      fail_invalid("batch index {} of region {}, expected 0 to {}", image, roi, x.dim(0) - 1);
    const double* box = rois.data() + roi * 4;  // x1, y1, x2, y2
    const auto rows = sample_axis(rules, box[1], box[3], rules.height, height);
    const auto columns = sample_axis(rules, box[0], box[2], rules.width, width);
    for (int64_t c = 0; c < channels; ++c)
      for (const auto& row : rows)
        for (const auto& column : columns)
          out.push_back(pool_bin(rules, pixels.data() + (image * channels + c) * height * width,
                                 width, row, column));
  }
  ctx.set_output(
      0, make_from(x.dtype(), {std::ssize(images), channels, rules.height, rules.width}, out));
}

/// Until version 16 regions were not shifted by half a pixel.
void upgrade_to_16(Graph& graph, NodeId id) {
  graph.set_attr(id, "coordinate_transformation_mode", std::string("output_half_pixel"));
}

}  // namespace

const OpDef& op_RoiAlign() {
  static const OpDef def{.name = "RoiAlign",
                         .versions = {10, 16, 22},
                         .inputs = {3, 3},
                         .outputs = {1, 1},
                         .attrs = {{"mode", AttrKind::kString},
                                   {"coordinate_transformation_mode", AttrKind::kString, false, 16},
                                   {"output_height", AttrKind::kInt},
                                   {"output_width", AttrKind::kInt},
                                   {"sampling_ratio", AttrKind::kInt},
                                   {"spatial_scale", AttrKind::kFloat}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .half_since = kNoHalfForm,
                         .upgrades = {{16, upgrade_to_16}}};
  return def;
}

}  // namespace lapidary
