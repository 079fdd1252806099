#include <algorithm>
#include <cmath>

#include "src/pipeline/report/rows.h"
#include "src/pipeline/report/svg.h"
#include "src/pipeline/report/svg_parts.h"

namespace lapidary {

namespace {

constexpr double kWidth = 1000, kHeight = 420, kLeft = 56, kRight = 16, kTop = 14, kBottom = 40;

/// Powers of ten around all that is shown; at least one decade.
struct LogAxis {
  double low = 0, high = 1;  ///< exponents
  LogAxis(double smallest, double largest)
      : low(std::floor(std::log10(smallest))),
        high(std::max(low + 1, std::ceil(std::log10(largest)))) {}
  double place(double value) const { return (std::log10(value) - low) / (high - low); }
};

struct Dot {
  const LayerRecord* layer;
  double intensity, gops;
};

/// Both axes, and what stands where on them.
class Plot {
 public:
  Plot(const LogAxis& x, const LogAxis& y) : x_(x), y_(y) {}
  double x_of(double intensity) const {
    return kLeft + (kWidth - kLeft - kRight) * x_.place(intensity);
  }
  double y_of(double gops) const {
    return kTop + (kHeight - kTop - kBottom) * (1 - y_.place(gops));
  }

  std::string axes() const {
    std::string out;
    for (double e = x_.low; e <= x_.high; ++e) {
      const double x = x_of(std::pow(10, e));
      out += line(x, kTop, x, kHeight - kBottom, "g");
      out +=
          text_at(x, kHeight - kBottom + 16, fmt::format("{:g}", std::pow(10, e)), "a", "middle");
    }
    for (double e = y_.low; e <= y_.high; ++e) {
      const double y = y_of(std::pow(10, e));
      out += line(kLeft, y, kWidth - kRight, y, "g");
      out += text_at(kLeft - 6, y + 4, fmt::format("{:g}", std::pow(10, e)), "a", "end");
    }
    return out + text_at(kWidth - kRight, kHeight - 6, "operations a byte", "a", "end") +
           text_at(4, kHeight - 6, "GOPS", "a");
  }

  /// gops = intensity * gb_s from the left edge up to `top`, then `top` to the right edge.
  std::string roof(double gb_s, double top, const char* css) const {
    const double left = std::pow(10, x_.low), right = std::pow(10, x_.high);
    const double bottom = std::pow(10, y_.low);
    const double start = std::max(left, bottom / gb_s);
    const double corner = std::min(right, top / gb_s);
    std::string path;
    if (start < corner)
      path = fmt::format("M{:.1f} {:.1f}L{:.1f} {:.1f}", x_of(start), y_of(start * gb_s),
                         x_of(corner), y_of(corner * gb_s));
    else
      path = fmt::format("M{:.1f} {:.1f}", x_of(left), y_of(top));
    if (corner < right) path += fmt::format("L{:.1f} {:.1f}", x_of(right), y_of(top));
    return fmt::format("<path d=\"{}\" class=\"{}\"/>", path, css);
  }

  std::string roof_label(double gops, const std::string& text) const {
    return text_at(kWidth - kRight - 4, y_of(gops) - 5, text, "l", "end");
  }

 private:
  static std::string line(double x1, double y1, double x2, double y2, const char* css) {
    return fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>", x1, y1, x2,
        y2, css);
  }
  LogAxis x_, y_;
};

std::string dot(const Plot& plot, const Dot& d, const MachinePeaks& peaks) {
  const LayerRecord& l = *d.layer;
  const double peak = peak_gops(peaks, l.precision);
  const char* css = l.precision == "int8" ? "int8" : l.precision == "float32" ? "f32" : "other";
  return fmt::format(
      "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" class=\"dot {}\"><title>{} ({}, {}): {:.1f} "
      "GOPS, {:.0f} % of peak, {:.1f} operations a byte, {:.4f} ms</title></circle>",
      plot.x_of(d.intensity), plot.y_of(d.gops), css, html_escape(l.node), html_escape(l.op),
      html_escape(l.precision), d.gops, peak > 0 ? 100 * d.gops / peak : 0, d.intensity,
      *l.latency_ms);
}

}  // namespace

std::string svg_roofline(const std::vector<LayerRecord>& layers, const MachinePeaks& peaks) {
  std::vector<Dot> dots;
  for (const LayerRecord& l : layers)
    if (const auto gops = layer_gops(l); gops && l.bytes_moved > 0)
      dots.push_back(
          {&l, 2 * static_cast<double>(l.macs) / static_cast<double>(l.bytes_moved), *gops});
  if (dots.empty() || !(peaks.memory_gb_s > 0) || !(peaks.f32_gops > 0)) return {};
  double top = std::max({peaks.int8_gops, peaks.f32_gops, peaks.bf16_gops});
  for (const Dot& d : dots) top = std::max(top, d.gops);  // of a peak taken in a busy moment
  double left = 1, right = 2 * top / peaks.memory_gb_s, bottom = peaks.f32_gops / 10;
  for (const Dot& d : dots) {
    left = std::min(left, d.intensity);
    right = std::max(right, d.intensity);
    bottom = std::min(bottom, d.gops);
  }
  const Plot plot(LogAxis(left, right), LogAxis(bottom, top));
  std::string out = open_svg(kWidth, kHeight, "Layers under the roofline") + plot.axes();
  const double roof = std::max(peaks.int8_gops, peaks.f32_gops);
  if (peaks.cache_gb_s > peaks.memory_gb_s) out += plot.roof(peaks.cache_gb_s, roof, "cache");
  out += plot.roof(peaks.memory_gb_s, roof, "roof");
  out += plot.roof(peaks.memory_gb_s, peaks.f32_gops, "roof");
  if (peaks.bf16_gops > 0) {
    out += plot.roof(peaks.memory_gb_s, peaks.bf16_gops, "roof");
    out += plot.roof_label(peaks.bf16_gops, fmt::format("BF16 {:.0f} GOPS", peaks.bf16_gops));
  }
  out += plot.roof_label(peaks.int8_gops, fmt::format("INT8 {:.0f} GOPS", peaks.int8_gops));
  out += plot.roof_label(peaks.f32_gops, fmt::format("FP32 {:.0f} GOPS", peaks.f32_gops));
  for (const Dot& d : dots) out += dot(plot, d, peaks);
  const auto key = [&](double x, const char* css, const std::string& text) {
    return fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"5\" class=\"dot {}\"/>", x, kHeight - 10,
                       css) +
           text_at(x + 10, kHeight - 6, text, "a");
  };
  out += key(120, "int8", "INT8 layer") + key(220, "f32", "FP32 layer");
  out += text_at(330, kHeight - 6,
                 fmt::format("slopes: memory {:.1f} GB/s, cache {:.0f} GB/s (dashed)",
                             peaks.memory_gb_s, peaks.cache_gb_s),
                 "a");
  return out + "</svg>";
}

}  // namespace lapidary
