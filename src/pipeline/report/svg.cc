#include "src/pipeline/report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "src/pipeline/report/svg_parts.h"

namespace lapidary {

std::string svg_bars(const std::string& title, const std::vector<Bar>& bars) {
  constexpr double kWidth = 360, kRow = 30, kTop = 26, kLeft = 78, kRight = 92;
  double largest = 0;
  for (const Bar& b : bars) largest = std::max(largest, b.value);
  std::string out = open_svg(kWidth, kTop + kRow * static_cast<double>(bars.size()), title);
  out += text_at(0, 14, title, "t");
  for (size_t i = 0; i < bars.size(); ++i) {
    const double y = kTop + kRow * static_cast<double>(i);
    const double length = largest > 0 ? (kWidth - kLeft - kRight) * bars[i].value / largest : 0;
    out += text_at(kLeft - 8, y + 15, bars[i].label, "l", "end");
    out += fmt::format(
        "<rect x=\"{}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"20\" rx=\"3\" class=\"{}\"/>", kLeft,
        y, std::max(1.0, length), i + 1 == bars.size() ? "b now" : "b");
    out += text_at(kLeft + length + 6, y + 15, bars[i].text, "v");
  }
  return out + "</svg>";
}

std::string svg_layer_errors(const std::vector<LayerRecord>& layers) {
  std::vector<const LayerRecord*> shown;
  for (const LayerRecord& l : layers)
    if (l.sqnr_db && std::isfinite(*l.sqnr_db)) shown.push_back(&l);
  if (shown.empty()) return {};
  constexpr double kWidth = 1000, kHeight = 240, kLeft = 44, kBottom = 22, kTop = 12;
  double high = 10, low = 0;
  for (const LayerRecord* l : shown) {
    high = std::max(high, std::min(*l->sqnr_db, 80.0));
    low = std::min(low, std::max(*l->sqnr_db, -20.0));
  }
  high = std::ceil(high / 10) * 10;
  low = std::floor(low / 10) * 10;
  const auto y_of = [&](double db) {
    return kTop + (kHeight - kTop - kBottom) * (high - std::clamp(db, low, high)) / (high - low);
  };
  std::vector<double> sorted;
  for (const LayerRecord* l : shown) sorted.push_back(*l->sqnr_db);
  std::sort(sorted.begin(), sorted.end());
  const double worst = sorted[std::min<size_t>(2, sorted.size() - 1)];
  std::string out = open_svg(kWidth, kHeight, "SQNR of each layer");
  for (double db = low; db <= high; db += 10) {
    out += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" class=\"g\"/>", kLeft,
                       kWidth, y_of(db), y_of(db));
    out += text_at(kLeft - 6, y_of(db) + 4, fmt::format("{:.0f}", db), "a", "end");
  }
  const double step = (kWidth - kLeft) / static_cast<double>(shown.size());
  for (size_t i = 0; i < shown.size(); ++i) {
    const LayerRecord& l = *shown[i];
    const double top = y_of(*l.sqnr_db), zero = y_of(std::max(0.0, low));
    out += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"{}\"><title>{} "
        "({}): {:.1f} "
        "dB</title></rect>",
        kLeft + step * static_cast<double>(i) + 0.1 * step, std::min(top, zero), 0.8 * step,
        std::max(1.0, std::abs(zero - top)), *l.sqnr_db <= worst ? "b bad" : "b now",
        html_escape(l.node), html_escape(l.op), *l.sqnr_db);
  }
  out += text_at(kLeft, kHeight - 4, "first layer", "a");
  out += text_at(kWidth, kHeight - 4, "output", "a", "end");
  return out + "</svg>";
}

std::string svg_histogram(const HistogramRecord& h) {
  if (h.counts.empty() || h.width <= 0) return {};
  constexpr double kWidth = 300, kHeight = 120, kTop = 20, kBottom = 16;
  uint64_t largest = 1;
  for (uint64_t c : h.counts) largest = std::max(largest, c);
  const double bins = static_cast<double>(h.counts.size());
  const double step = kWidth / bins;
  const double top_log = std::log10(1 + static_cast<double>(largest));
  std::string out = open_svg(kWidth, kHeight, h.tensor) + text_at(0, 12, h.tensor, "l");
  std::string path;
  for (size_t i = 0; i < h.counts.size(); ++i) {
    const double tall =
        (kHeight - kTop - kBottom) * std::log10(1 + static_cast<double>(h.counts[i])) / top_log;
    if (tall > 0)
      path += fmt::format("M{:.1f} {:.1f}h{:.2f}v{:.1f}h-{:.2f}z", step * static_cast<double>(i),
                          kHeight - kBottom - tall, step, tall, step);
  }
  out += fmt::format("<path d=\"{}\" class=\"b\"/>", path);
  const double high = h.low + h.width * bins;
  for (double edge : {h.chosen.low, h.chosen.high}) {
    const double x = std::clamp((edge - h.low) / (high - h.low), 0.0, 1.0) * kWidth;
    out += fmt::format(
        "<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\" "
        "class=\"clip\"><title>{:.5g}</title></line>",
        x, x, kTop, kHeight - kBottom, edge);
  }
  out += text_at(0, kHeight - 3, fmt::format("{:.3g}", h.low), "a");
  out += text_at(kWidth, kHeight - 3, fmt::format("{:.3g}", high), "a", "end");
  return out + "</svg>";
}

}  // namespace lapidary
