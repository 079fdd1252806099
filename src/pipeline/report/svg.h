#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lapidary/report.h"

namespace lapidary {

/// Horizontal bars, one a label, each scaled to the largest; `text` stands at the end of its bar.
struct Bar {
  std::string label;
  double value = 0;
  std::string text;
};
std::string svg_bars(const std::string& title, const std::vector<Bar>& bars);

/// SQNR of each layer in graph order, worst layers marked; hovering names the layer.
std::string svg_layer_errors(const std::vector<LayerRecord>& layers);

/// Both axes logarithmic: the roofs of `peaks`, and each layer with MACs, bytes and a time at its
/// operations a byte and operations a second; hovering names it. Empty where there is none.
std::string svg_roofline(const std::vector<LayerRecord>& layers, const MachinePeaks& peaks);

/// Points (x, y) joined by a line.
struct Curve {
  std::string label;
  std::vector<std::pair<double, double>> points;
};
/// What the axes of curves are.
struct CurveAxes {
  std::string x = "step";
  std::optional<std::pair<double, double>> y = {};  ///< to show at least; absent: what points need
};
/// Curves over one axis from 0, with a legend. Empty where there is no point.
std::string svg_curves(const std::string& title, const std::vector<Curve>& curves,
                       const CurveAxes& axes = {});
/// So many curves have inks of their own.
inline constexpr size_t kCurveInks = 4;

/// A histogram on a logarithmic count axis with the chosen range as two lines.
std::string svg_histogram(const HistogramRecord& histogram);

}  // namespace lapidary
