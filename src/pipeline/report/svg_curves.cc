#include <algorithm>
#include <cmath>
#include <limits>

#include "src/pipeline/report/svg.h"
#include "src/pipeline/report/svg_parts.h"

namespace lapidary {

namespace {

/// 1, 2 or 5 times a power of ten, so that about `count` of them cover `range`.
double tick_size(double range, int count) {
  const double raw = range / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double step : {1.0, 2.0, 5.0})
    if (raw <= step * power) return step * power;
  return 10 * power;
}

struct Span {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void see(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
};

/// Where the legend's entries stand, from (`left`, 0) on, in rows that end at `right`.
std::vector<std::pair<double, double>> legend_places(const std::vector<Curve>& curves, double left,
                                                     double right) {
  std::vector<std::pair<double, double>> out;
  double x = left, y = 0;
  for (const Curve& curve : curves) {
    const double wide = 30 + 5.5 * static_cast<double>(std::min<size_t>(curve.label.size(), 60));
    if (x > left && x + wide > right) {
      x = left;
      y += 14;
    }
    out.emplace_back(x, y);
    x += wide;
  }
  return out;
}

}  // namespace

std::string svg_curves(const std::string& title, const std::vector<Curve>& curves,
                       const CurveAxes& axes) {
  constexpr double kWidth = 480, kLeft = 44, kBottom = 22, kRight = 8;
  constexpr const char* kInk[kCurveInks] = {"var(--now)", "var(--bad)", "var(--good)",
                                            "var(--soft)"};
  Span x, y;
  for (const Curve& curve : curves)
    for (const auto& [at, value] : curve.points) {
      x.see(at);
      y.see(value);
    }
  if (!(x.high >= x.low)) return {};
  x.low = std::min(x.low, 0.0);
  if (axes.y) {
    y.see(axes.y->first);
    y.see(axes.y->second);
  }
  if (y.high == y.low) y.high = y.low + 1;
  const auto legend = legend_places(curves, kLeft, kWidth);
  const double top = 40 + legend.back().second, height = top + 200;
  const double tick = tick_size(y.high - y.low, 4);
  y.low = std::floor(y.low / tick) * tick;
  y.high = std::ceil(y.high / tick) * tick;
  const auto x_of = [&](double v) {
    return kLeft + (kWidth - kLeft - kRight) * (v - x.low) / (x.high - x.low);
  };
  const auto y_of = [&](double v) {
    return top + (height - top - kBottom) * (y.high - v) / (y.high - y.low);
  };
  std::string out = open_svg(kWidth, height, title) + text_at(0, 14, title, "t");
  const auto ticks = static_cast<int>(std::lround((y.high - y.low) / tick));
  for (int i = 0; i <= ticks; ++i) {
    const double v = y.low + i * tick;
    out += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"g\"/>", kLeft,
                       kWidth - kRight, y_of(v), y_of(v));
    out += text_at(kLeft - 6, y_of(v) + 4, fmt::format("{:g}", v), "a", "end");
  }
  for (size_t i = 0; i < curves.size(); ++i) {
    const char* ink = kInk[std::min(i, std::size(kInk) - 1)];
    std::string points;
    for (const auto& [at, value] : curves[i].points)
      points += fmt::format("{:.1f},{:.1f} ", x_of(at), y_of(value));
    if (curves[i].points.size() > 1)
      out += fmt::format(
          "<polyline points=\"{}\" fill=\"none\" style=\"stroke:{}\" stroke-width=\"1.6\"/>",
          points, ink);
    if (curves[i].points.size() <= 40)
      for (const auto& [at, value] : curves[i].points)
        out += fmt::format(
            "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" style=\"fill:{}\"><title>{}, {} {:g}: "
            "{:.5g}</title></circle>",
            x_of(at), y_of(value), ink, html_escape(curves[i].label), html_escape(axes.x), at,
            value);
    const auto& [across, down] = legend[i];
    out +=
        fmt::format("<rect x=\"{:.1f}\" y=\"{:.0f}\" width=\"12\" height=\"3\" style=\"fill:{}\"/>",
                    across, 22 + down, ink);
    out += text_at(across + 16, 28 + down, curves[i].label, "a");
  }
  out += text_at(kLeft, height - 6, fmt::format("{} {:g}", axes.x, x.low), "a");
  out += text_at(kWidth - kRight, height - 6, fmt::format("{} {:g}", axes.x, x.high), "a", "end");
  return out + "</svg>";
}

}  // namespace lapidary
