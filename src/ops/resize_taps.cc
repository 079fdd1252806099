#include <algorithm>
#include <cmath>

#include "src/ops/movement.h"
#include "src/ops/resize.h"

namespace lapidary {

namespace {

void require_word(std::string_view what, std::string_view word,
                  std::initializer_list<std::string_view> allowed) {
  if (std::find(allowed.begin(), allowed.end(), word) == allowed.end())
    fail_invalid("{} is '{}', expected one of {}", what, word, fmt::join(allowed, ", "));
}

/// The position in the input of output position `x`. float32 throughout, as ONNX Runtime computes
/// it: in "nearest" the last bit decides. Fractional lengths (scale * in) stand in align_corners as
/// in ONNX's reference implementation.
float original_position(const ResizeRules& rules, const ResizeAxis& axis, int64_t position) {
  const auto x = static_cast<float>(position), in = static_cast<float>(axis.in);
  const float length = axis.scale * in;
  const std::string& mode = rules.coordinates;
  if (mode == "asymmetric") return x / axis.scale;
  if (mode == "half_pixel") return (x + 0.5f) / axis.scale - 0.5f;
  if (mode == "pytorch_half_pixel") return axis.out > 1 ? (x + 0.5f) / axis.scale - 0.5f : 0.0f;
  if (mode == "tf_half_pixel_for_nn") return (x + 0.5f) / axis.scale;
  if (mode == "half_pixel_symmetric") {
    const float adjustment = static_cast<float>(axis.out) / length;
    return in / 2 * (1 - adjustment) + (x + 0.5f) / axis.scale - 0.5f;
  }
  if (mode == "align_corners") return axis.out == 1 ? 0.0f : x * (in - 1) / (length - 1);
  // tf_crop_and_resize
  if (axis.out == 1) return 0.5f * (axis.roi_start + axis.roi_end) * (in - 1);
  return axis.roi_start * (in - 1) +
         x * (axis.roi_end - axis.roi_start) * (in - 1) / static_cast<float>(axis.out - 1);
}

/// Clamped in floating point, so that no coordinate leaves the integers.
int64_t to_index(float value, int64_t size) {
  return static_cast<int64_t>(std::clamp(value, 0.0f, static_cast<float>(size - 1)));
}

int64_t nearest_index(const ResizeRules& rules, const ResizeAxis& axis, float x) {
  float rounded = std::floor(x);
  if (rules.nearest == "round_prefer_floor") rounded = std::ceil(x - 0.5f);
  if (rules.nearest == "round_prefer_ceil") rounded = std::floor(x + 0.5f);
  if (rules.nearest == "ceil" || (rules.nearest == "simple" && axis.scale < 1))
    rounded = std::ceil(x);
  return std::min(to_index(rounded, axis.in), axis.in - 1);
}

ResizeTaps linear_taps(const ResizeAxis& axis, float x) {
  const float place = std::clamp(x, 0.0f, static_cast<float>(axis.in - 1));
  const auto low = std::min(static_cast<int64_t>(place), axis.in - 1);
  const int64_t high = std::min(low + 1, axis.in - 1);
  // On the last element both halves are the same one: exact, where r and 1 - r might not sum to 1.
  if (low == high) return {{low, 0.5f}, {high, 0.5f}};
  return {{low, static_cast<float>(high) - place}, {high, place - static_cast<float>(low)}};
}

/// Keys' cubic convolution kernel.
float cubic_kernel(float x, float a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/// A kernel of `radius` around x, stretched by 1 / scale where antialiasing shrinks; positions
/// outside repeat the edge, or carry no weight (exclude_outside).
ResizeTaps kernel_taps(const ResizeRules& rules, const ResizeAxis& axis, float x) {
  const bool cubic = rules.mode == ResizeMode::kCubic;
  const float shrink = rules.antialias ? std::min(axis.scale, 1.0f) : 1.0f;
  const auto reach = static_cast<int64_t>(-std::floor((cubic ? -2.0f : -1.0f) / shrink));
  const float floor_x = std::floor(x);
  const auto base = static_cast<int64_t>(floor_x);
  ResizeTaps taps;
  float sum = 0;
  for (int64_t i = 1 - reach; i <= reach; ++i) {
    const float distance = (static_cast<float>(i) - (x - floor_x)) * shrink;
    float weight =
        cubic ? cubic_kernel(distance, rules.cubic_a) : std::max(0.0f, 1 - std::abs(distance));
    const int64_t at = base + i;
    if (rules.exclude_outside && (at < 0 || at >= axis.in)) weight = 0;
    sum += weight;
    taps.push_back({std::clamp<int64_t>(at, 0, axis.in - 1), weight});
  }
  if ((rules.exclude_outside || rules.antialias) && sum != 0)
    for (ResizeTap& tap : taps) tap.weight /= sum;
  return taps;
}

float quotient(int64_t out, int64_t in) { return static_cast<float>(out) / static_cast<float>(in); }

/// Lengths above this would not be exact in the coordinates' arithmetic, nor fit memory.
constexpr float kMaxLength = 0x1p40f;

ResizeAxis sized_axis(int64_t in, int64_t out) {
  if (out < 0 || (in == 0 && out > 0)) fail_invalid("an axis of {} cannot get size {}", in, out);
  if (!(static_cast<float>(out) < kMaxLength)) fail(ErrorCode::kResource, "an axis of {}", out);
  return {in, out, in == 0 ? 1.0f : quotient(out, in)};
}

/// keep_aspect_ratio_policy: one scale for all axes, the smallest (not_larger) or largest asked
/// for.
void keep_aspect_ratio(const std::string& policy, std::vector<ResizeAxis>& axes,
                       std::span<const int64_t> touched) {
  require_word("keep_aspect_ratio_policy", policy, {"stretch", "not_larger", "not_smaller"});
  if (policy == "stretch" || touched.empty()) return;
  float scale = axes[static_cast<size_t>(touched[0])].scale;
  for (int64_t axis : touched) {
    const float asked = axes[static_cast<size_t>(axis)].scale;
    scale = policy == "not_larger" ? std::min(scale, asked) : std::max(scale, asked);
  }
  for (int64_t i : touched) {
    ResizeAxis& axis = axes[static_cast<size_t>(i)];
    axis.scale = scale;
    axis.out = static_cast<int64_t>(std::floor(scale * static_cast<float>(axis.in) + 0.5f));
  }
}

}  // namespace

ResizeRules read_resize_rules(const AttrView& attrs) {
  const bool old = attrs.version() < 11;  // Resize-10 and Upsample
  ResizeRules rules;
  const std::string mode = attrs.get_string("mode", "nearest");
  if (old)
    require_word("mode", mode, {"nearest", "linear"});
  else
    require_word("mode", mode, {"nearest", "linear", "cubic"});
  rules.mode = mode == "nearest"  ? ResizeMode::kNearest
               : mode == "linear" ? ResizeMode::kLinear
                                  : ResizeMode::kCubic;
  rules.coordinates =
      attrs.get_string("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
  require_word("coordinate_transformation_mode", rules.coordinates,
               {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"});
  rules.nearest = attrs.get_string("nearest_mode", old ? "simple" : "round_prefer_floor");
  require_word("nearest_mode", rules.nearest,
               {"simple", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  rules.cubic_a = attrs.get_float("cubic_coeff_a", -0.75f);
  rules.exclude_outside = attrs.get_int("exclude_outside", 0) != 0;
  rules.antialias = attrs.get_int("antialias", 0) != 0;
  rules.extrapolation = attrs.get_float("extrapolation_value", 0);
  return rules;
}

ResizeSlots resize_slots(const AttrView& attrs) {
  if (attrs.version() < 9) return {};
  return attrs.version() < 11 ? ResizeSlots{0, 1, 0} : ResizeSlots{1, 2, 3};
}

std::vector<ResizeTaps> resize_taps(const ResizeRules& rules, const ResizeAxis& axis) {
  std::vector<ResizeTaps> all(static_cast<size_t>(axis.out));
  for (int64_t i = 0; i < axis.out; ++i) {
    ResizeTaps& taps = all[static_cast<size_t>(i)];
    if (axis.unchanged() && rules.coordinates != "tf_crop_and_resize") {
      taps = {{i, 1.0f}};
      continue;
    }
    const float x = original_position(rules, axis, i);
    const bool outside = !(x >= 0 && x <= static_cast<float>(axis.in - 1));
    if (rules.coordinates == "tf_crop_and_resize" && outside) continue;
    if (rules.mode == ResizeMode::kNearest)
      taps = {{nearest_index(rules, axis, x), 1.0f}};
    else if (rules.mode == ResizeMode::kLinear && !rules.antialias)
      taps = linear_taps(axis, x);
    else
      taps = kernel_taps(rules, axis, x);
  }
  return all;
}

ResizeAxis scaled_axis(int64_t in, float scale) {
  if (!(scale > 0) || !std::isfinite(scale)) fail_invalid("a scale is {}, expected above 0", scale);
  const float length = std::floor(static_cast<float>(in) * scale);
  if (!(length < kMaxLength)) fail(ErrorCode::kResource, "an axis of {} scaled by {}", in, scale);
  return {in, static_cast<int64_t>(length), scale};
}

std::vector<int64_t> touched_axes(const AttrView& attrs, int64_t rank) {
  return attrs.has("axes") ? normalize_axes(attrs.get_ints("axes"), rank) : iota_table(rank);
}

std::vector<ResizeAxis> resize_axes(const AttrView& attrs, std::span<const int64_t> shape,
                                    std::span<const float> scales, std::span<const int64_t> sizes,
                                    std::span<const float> roi) {
  const auto touched = touched_axes(attrs, static_cast<int64_t>(shape.size()));
  if (scales.empty() == sizes.empty())
    fail_invalid("{} of scales and sizes are given, expected one",
                 scales.empty() ? "none" : "both");
  if (std::max(scales.size(), sizes.size()) != touched.size())
    fail_invalid("{} has {} numbers, expected {}, one per axis",
                 scales.empty() ? "sizes" : "scales", std::max(scales.size(), sizes.size()),
                 touched.size());
  const bool crop = attrs.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize";
  if (crop && roi.size() != 2 * touched.size())
    fail_invalid("roi has {} numbers, expected {}, two per axis", roi.size(), 2 * touched.size());
  std::vector<ResizeAxis> axes;
  for (int64_t size : shape) axes.push_back({size, size});
  for (size_t i = 0; i < touched.size(); ++i) {
    ResizeAxis& axis = axes[static_cast<size_t>(touched[i])];
    axis = scales.empty() ? sized_axis(axis.in, sizes[i]) : scaled_axis(axis.in, scales[i]);
    if (crop) axis.roi_start = roi[i], axis.roi_end = roi[touched.size() + i];
  }
  if (!sizes.empty())
    keep_aspect_ratio(attrs.get_string("keep_aspect_ratio_policy", "stretch"), axes, touched);
  return axes;
}

}  // namespace lapidary
