#include <algorithm>
#include <cmath>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

enum class Mode { kNearest, kLinear, kCubic };
enum class Padding { kZeros, kBorder, kReflection };

struct Rules {
  Mode mode = Mode::kLinear;
  Padding padding = Padding::kZeros;
  bool align_corners = false;
};

/// Version 16 says bilinear and bicubic, version 20 linear and cubic.
Rules read_rules(const AttrView& attrs) {
  Rules rules;
  const std::string mode = attrs.get_string("mode", "linear");
  if (mode == "nearest")
    rules.mode = Mode::kNearest;
  else if (mode == "cubic" || mode == "bicubic")
    rules.mode = Mode::kCubic;
  else if (mode != "linear" && mode != "bilinear")
    fail_invalid("mode is '{}', expected nearest, linear or cubic", mode);
  const std::string padding = attrs.get_string("padding_mode", "zeros");
  if (padding == "border")
    rules.padding = Padding::kBorder;
  else if (padding == "reflection")
    rules.padding = Padding::kReflection;
  else if (padding != "zeros")
    fail_invalid("padding_mode is '{}', expected zeros, border or reflection", padding);
  rules.align_corners = attrs.get_int("align_corners", 0) != 0;
  return rules;
}

/// X [N, C, d1, ..., dk], grid [N, e1, ..., ek, k] -> [N, C, e1, ..., ek]
void infer(InferContext& ctx) {
  read_rules(ctx.attrs());
  ctx.require_dtype(1, kFloatDTypes);
  ctx.require_rank(0, ctx.version() < 20 ? 4 : 3, ctx.version() < 20 ? 4 : -1);
  ctx.set_type(0, ctx.dtype(0));
  const auto *x = ctx.shape(0), *grid = ctx.shape(1);
  if (x) ctx.require_rank(1, std::ssize(*x), std::ssize(*x));
  if (!x || !grid) return;
  unify_dim(grid->back(), std::ssize(*x) - 2);
  std::vector<Dim> out = {unify_dim((*x)[0], (*grid)[0]), (*x)[1]};
  out.insert(out.end(), grid->begin() + 1, grid->end() - 1);
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

struct Tap {
  int64_t at = -1;  ///< -1: outside, zero
  double weight = 1;
};

/// Folds x back into [low, high] as often as needed.
double reflect(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  const double phase = std::fmod(std::abs(x - low), 2 * range);
  return low + (phase > range ? 2 * range - phase : phase);
}

/// Keys' cubic convolution kernel with a = -0.75.
double cubic_kernel(double x) {
  constexpr double a = -0.75;
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

/// The samples that a coordinate in [-1, 1] takes from an axis of `size`.
std::vector<Tap> axis_taps(const Rules& rules, double coordinate, int64_t size) {
  const auto length = static_cast<double>(size);
  const double low = rules.align_corners ? 0 : -0.5;
  const double high = rules.align_corners ? length - 1 : length - 0.5;
  double x = rules.align_corners ? (coordinate + 1) / 2 * (length - 1)
                                 : ((coordinate + 1) * length - 1) / 2;
  // Rounded as float32, in which ties of "nearest" are ties.
  x = static_cast<double>(static_cast<float>(x));
  if (!std::isfinite(x)) x = -100;  // far outside: as ATen and ONNX Runtime place such points
  if (rules.mode == Mode::kNearest) x = std::nearbyint(x);
  if (x < low || x > high) {
    // "cubic" clamps its taps alone, as ATen and ONNX Runtime do; ONNX's reference clamps x as
    // well.
    if (rules.padding == Padding::kBorder && rules.mode != Mode::kCubic)
      x = std::clamp(x, 0.0, length - 1);
    if (rules.padding == Padding::kReflection) x = reflect(x, low, high);
  }
  x = std::clamp(x, -0x1p40, 0x1p40);
  const double base = std::floor(x);
  const auto sample = [&](int64_t offset, double weight) -> Tap {
    double at = base + static_cast<double>(offset);
    if (rules.padding == Padding::kBorder) at = std::clamp(at, 0.0, length - 1);
    if (rules.padding == Padding::kReflection)
      at = std::clamp(std::trunc(reflect(at, low, high)), 0.0, length - 1);
    return {at < 0 || at >= length ? -1 : static_cast<int64_t>(at), weight};
  };
  const double part = x - base;
  if (rules.mode == Mode::kNearest) return {sample(0, 1)};
  if (rules.mode == Mode::kLinear) return {sample(0, 1 - part), sample(1, part)};
  std::vector<Tap> taps;
  for (int64_t i = -1; i <= 2; ++i)
    taps.push_back(sample(i, cubic_kernel(static_cast<double>(i) - part)));
  return taps;
}

/// Sum over the taps of all axes from `axis` on.
template <class T>
double interpolate(const T* image, std::span<const std::vector<Tap>> taps,
                   std::span<const int64_t> strides) {
  if (taps.empty()) return static_cast<double>(load(*image));
  double sum = 0;
  for (const Tap& tap : taps[0])
    if (tap.at >= 0)
      sum += tap.weight *
             interpolate(image + tap.at * strides[0], taps.subspan(1), strides.subspan(1));
  return sum;
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const Rules rules = read_rules(ctx.attrs());
  const std::vector<double> grid = read_as<double>(ctx.input(1));
  const auto axes = static_cast<size_t>(x.rank() - 2);
  const int64_t batch = x.dim(0), channels = x.dim(1);
  Shape shape = {batch, channels};
  shape.insert(shape.end(), ctx.input(1).shape().begin() + 1, ctx.input(1).shape().end() - 1);
  Tensor out(x.dtype(), shape);
  const auto image = std::span(x.shape()).subspan(2);
  const std::vector<int64_t> strides = row_major_strides(image);
  const int64_t points = element_count(std::span(shape).subspan(2)), pixels = element_count(image);
  dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
    auto to = out.mutable_data<T>();
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t point = 0; point < points; ++point) {
        std::vector<std::vector<Tap>> taps;
        for (size_t axis = 0; axis < axes; ++axis) {  // the grid lists the last axis first
          const auto at = static_cast<size_t>(n * points + point) * axes + axes - 1 - axis;
          taps.push_back(axis_taps(rules, grid[at], image[axis]));
        }
        for (int64_t c = 0; c < channels; ++c) {
          const T* plane = x.data<T>().data() + (n * channels + c) * pixels;
          to[static_cast<size_t>((n * channels + c) * points + point)] =
              store<T>(static_cast<Real<T>>(interpolate<T>(plane, taps, strides)));
        }
      }
  });
  ctx.set_output(0, std::move(out));
}

/// bilinear -> linear, bicubic -> cubic.
void upgrade_to_20(Graph& graph, NodeId id) {
  const Attr* attr = graph.node(id).attr("mode");
  const auto* mode = attr ? std::get_if<std::string>(attr) : nullptr;
  if (mode == nullptr) return;
  if (*mode == "bilinear")
    graph.set_attr(id, "mode", std::string("linear"));
  else if (*mode == "bicubic")
    graph.set_attr(id, "mode", std::string("cubic"));
}

}  // namespace

const OpDef& op_GridSample() {
  static const OpDef def{.name = "GridSample",
                         .versions = {16, 20, 22},
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .attrs = {{"mode", AttrKind::kString},
                                   {"padding_mode", AttrKind::kString},
                                   {"align_corners", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .upgrades = {{20, upgrade_to_20}}};
  return def;
}

}  // namespace lapidary
