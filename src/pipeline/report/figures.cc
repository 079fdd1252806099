#include "src/pipeline/report/figures.h"

#include <cctype>

#include "src/pipeline/report/format.h"

namespace lapidary {

std::vector<Figure> headline_figures(const Report& r, MetricTable metrics) {
  std::vector<Figure> out;
  if (r.stages.empty()) return out;
  for (const MetricDef* m : metrics) {
    const auto before = metric_of(earlier_stage(r), *m), after = metric_of(r.stages.back(), *m);
    if (!m->headline || !after) continue;
    std::string label(m->label);
    if (before) label += ", from " + metric_text(*m, *before);
    out.push_back({metric_text(*m, *after), std::move(label)});
  }
  return out;
}

std::vector<BarChart> headline_charts(const Report& r, MetricTable metrics) {
  std::vector<BarChart> out;
  for (const MetricDef* m : metrics) {
    if (!m->headline || r.stages.empty() || !metric_of(earlier_stage(r), *m)) continue;
    BarChart chart{std::string(m->label), {}};
    chart.title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(chart.title[0])));
    for (const StageRecord& s : r.stages)
      if (const auto value = metric_of(s, *m); value && std::isfinite(*value))
        chart.bars.push_back({s.name, *value, metric_text(*m, *value)});
    if (!chart.bars.empty()) out.push_back(std::move(chart));
  }
  return out;
}

}  // namespace lapidary
