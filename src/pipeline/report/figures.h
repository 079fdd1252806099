#pragma once

#include <string>
#include <vector>

#include "src/pipeline/metric.h"
#include "src/pipeline/report/svg.h"

namespace lapidary {

/// A figure that stands out: "91.50 %", "top-1, from 92.00 %".
struct Figure {
  std::string value, label;
};
/// The last stage's headline metrics, beside the first stage's where that has them.
std::vector<Figure> headline_figures(const Report& report, MetricTable metrics = all_metrics());

struct BarChart {
  std::string title;
  std::vector<Bar> bars;
};
/// Every stage's headline metrics, of those that the first stage has.
std::vector<BarChart> headline_charts(const Report& report, MetricTable metrics = all_metrics());

}  // namespace lapidary
