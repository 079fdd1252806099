#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "src/pipeline/report/format.h"
#include "src/pipeline/report/rows.h"

namespace lapidary {

namespace {

std::string proof_text(const PruneRecord& p) {
  if (!p.difference) return "not compared with the masked model: " + p.not_checked;
  if (*p.difference == 0) return "outputs equal the masked model's";
  return fmt::format("outputs within {:.1g} of the masked model's", *p.difference);
}

std::string repair_text(const PruneRecord& p) {
  if (!p.repaired) return "";
  return fmt::format("; repaired without labels: weights of {} layers, statistics of {}",
                     p.repaired->weights, p.repaired->norms + p.repaired->scaled);
}

std::string planned_text(const PruneRecord& p) {
  return fmt::format(
      "{}: {:.1f} % of the {} asked for; the least that can be left is {:.1f} %, of {} groups the "
      "units below.",
      p.step, 100 * p.asked, p.target, 100 * p.got, p.groups.size());
}

std::string summary(const PruneRecord& p) {
  if (p.planned) return planned_text(p);
  const auto ratio = [](int64_t before, int64_t after) {
    return after > 0 ? static_cast<double>(before) / static_cast<double>(after) : 0;
  };
  return fmt::format(
      "{} by {}: {}{:.1f} % of the {} left; MACs {} to {} ({:.2f}x), parameters "
      "{} to {} ({:.2f}x); {}{}.",
      p.step, p.criterion,
      p.asked < 1 ? fmt::format("{:.1f} % asked for, ", 100 * p.asked) : std::string(), 100 * p.got,
      p.target, p.before.macs, p.after.macs, ratio(p.before.macs, p.after.macs),
      p.before.parameters, p.after.parameters, ratio(p.before.parameters, p.after.parameters),
      proof_text(p), repair_text(p));
}

/// A value in the unit of the metric, of one that is known.
std::string value_text(const std::string& metric, double value) {
  const MetricDef* def = find_metric(metric);
  return def ? metric_text(*def, value) : fmt::format("{:g}", value);
}

/// "1 points" of a share, others in their unit.
std::string loss_text(const std::string& metric, double loss) {
  const MetricDef* def = find_metric(metric);
  return def && def->is_share() ? fmt::format("{:g} points", loss * def->points)
                                : value_text(metric, loss);
}

double points_of(const std::string& metric) {
  const MetricDef* def = find_metric(metric);
  return def ? def->points : 1;
}

/// "top1, %"
std::string axis_text(const std::string& metric) {
  const MetricDef* def = find_metric(metric);
  return def && !def->unit.empty() ? fmt::format("{}, {}", metric, def->unit) : metric;
}

bool higher_is_better(const std::string& metric) {
  const MetricDef* def = find_metric(metric);
  return !def || def->higher_is_better;
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

void add_sentence(std::string& note, const std::string& sentence) {
  if (!note.empty()) note += " ";
  note += sentence;
}

}  // namespace

ReportTable pruned_table(const Report& r) {
  const bool planned = std::ranges::any_of(r.prunings, &PruneRecord::planned);
  ReportTable t{planned ? "What could be pruned" : "What was pruned",
                {"step", "group", "units", "left", "note"},
                {},
                2,
                true};
  for (const PruneRecord& p : r.prunings) {
    add_sentence(t.note, summary(p));
    for (const PruneRecord::Group& g : p.groups)
      t.rows.push_back({p.step, g.name, std::to_string(g.units), std::to_string(g.left), g.note});
  }
  return t;
}

ReportTable sensitivity_table(const Report& r) {
  ReportTable t{"Sensitivity of groups", {"step", "group"}, {}, 2};
  std::set<double> ratios;
  for (const SensitivityRecord& s : r.sensitivities)
    for (const SensitivityRecord::Group& g : s.groups)
      for (const auto& [ratio, value] : g.points) ratios.insert(ratio);
  for (const double ratio : ratios) t.head.push_back(fmt::format("-{:g} %", 100 * ratio));
  for (const SensitivityRecord& s : r.sensitivities) {
    add_sentence(t.note,
                 fmt::format("{}: {} on {} samples where one group alone loses that share of its "
                             "units; {} of the model before.",
                             s.step, s.metric, s.samples, value_text(s.metric, s.whole)));
    for (const SensitivityRecord::Group& g : s.groups) {
      std::vector<std::string> row = {s.step, g.name};
      for (const double ratio : ratios) {
        const auto at = std::ranges::find(g.points, ratio, &std::pair<double, double>::first);
        row.push_back(at == g.points.end() ? "" : value_text(s.metric, at->second));
      }
      t.rows.push_back(std::move(row));
    }
  }
  return t;
}

ReportTable search_table(const Report& r) {
  ReportTable t{"Search within the budget", {"step", "asked", "left", "metric", "budget"}, {}, 1};
  for (const SearchRecord& s : r.searches) {
    add_sentence(t.note,
                 fmt::format("{}: shares of the {}, {} on {} samples, {} of the model "
                             "before, of which it may lose {}; {} was kept.",
                             s.step, s.target, s.metric, s.samples, value_text(s.metric, s.whole),
                             loss_text(s.metric, s.budget), percent(s.kept)));
    for (const SearchRecord::Point& p : s.points)
      t.rows.push_back({s.step, percent(p.share), percent(p.got), value_text(s.metric, p.metric),
                        p.met ? "within" : "beyond"});
  }
  return t;
}

std::vector<CurveFigure> sensitivity_figures(const SensitivityRecord& s) {
  const double points = points_of(s.metric);
  std::vector<CurveFigure> out;
  double low = s.whole * points, high = low;
  for (size_t g = 0; g < s.groups.size(); ++g) {
    Curve curve{s.groups[g].name, {{0, s.whole * points}}};
    for (const auto& [ratio, value] : s.groups[g].points) {
      if (!std::isfinite(value)) continue;
      curve.points.emplace_back(ratio, value * points);
      low = std::min(low, value * points);
      high = std::max(high, value * points);
    }
    std::ranges::sort(curve.points);
    if (g % kCurveInks == 0)
      out.push_back({fmt::format("{}: {}", s.step, axis_text(s.metric)), {}, {.x = "removed"}});
    out.back().curves.push_back(std::move(curve));
  }
  for (CurveFigure& figure : out) figure.axes.y = {low, high};
  return out;
}

CurveFigure search_figure(const SearchRecord& s) {
  const double points = points_of(s.metric);
  Curve tried{"models", {{1, s.whole * points}}};
  for (const SearchRecord::Point& p : s.points)
    if (std::isfinite(p.metric)) tried.points.emplace_back(p.got, p.metric * points);
  std::ranges::sort(tried.points);
  const double bound = (s.whole + (higher_is_better(s.metric) ? -s.budget : s.budget)) * points;
  return {fmt::format("{}: {}", s.step, axis_text(s.metric)),
          {std::move(tried), {"budget", {{0, bound}, {1, bound}}}},
          {.x = s.target + " left"}};
}

ReportTable frozen_table(const Report& r) {
  ReportTable t{
      "Axes that cannot be pruned, and why", {"weight", "node", "axis", "size", "reason"}, {}, 5};
  for (const FrozenAxis& f : r.frozen_axes)
    t.rows.push_back({f.tensor, f.node, std::to_string(f.axis), std::to_string(f.size), f.reason});
  t.long_list = true;
  return t;
}

}  // namespace lapidary
