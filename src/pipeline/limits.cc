#include "src/pipeline/limits.h"

#include <algorithm>
#include <limits>

#include "src/base/fail.h"

namespace lapidary {

namespace {

constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

double metric_of(const StageRecord& stage, const MetricDef& metric) {
  const auto found = stage.metrics.find(std::string(metric.name));
  return found == stage.metrics.end() ? kNotMeasured : found->second;
}

double median_ms(const StageRecord& stage, int threads) {
  for (const Latency& l : stage.latency)
    if (l.threads == threads) return l.median_ms;
  return kNotMeasured;
}

/// How far a metric fell from the reference to the last stage, in points.
double drop(const Report& report, const MetricDef& metric) {
  const double before = metric_of(report.stages.at(report.reference), metric);
  const double after = metric_of(report.stages.back(), metric);
  return (metric.higher_is_better ? before - after : after - before) * metric.points;
}

/// The first metric that the reference has, or null.
const MetricDef* first_metric(const Report& report, MetricTable metrics) {
  for (const MetricDef* def : metrics)
    if (report.stages.at(report.reference).metrics.contains(std::string(def->name))) return def;
  return nullptr;
}

LimitRecord at_most(std::string name, double asked, double got) {
  return {std::move(name), asked, got, got <= asked};  // NaN: not met
}
LimitRecord at_least(std::string name, double asked, double got) {
  return {std::move(name), asked, got, got >= asked};
}

LimitRecord hold(const MetricLimit& limit, const Report& report, MetricTable metrics) {
  const auto named = std::find_if(metrics.begin(), metrics.end(),
                                  [&](const MetricDef* def) { return def->name == limit.metric; });
  const MetricDef* metric = limit.metric.empty()     ? first_metric(report, metrics)
                            : named == metrics.end() ? nullptr
                                                     : *named;
  if (metric == nullptr) return {limit.key, limit.asked, kNotMeasured, false};
  if (limit.drop) return at_most(limit.key, limit.asked, drop(report, *metric));
  const double got = metric_of(report.stages.back(), *metric);
  return metric->higher_is_better ? at_least(limit.key, limit.asked, got)
                                  : at_most(limit.key, limit.asked, got);
}

}  // namespace

std::vector<MetricLimit> metric_limits(const LimitsParams& limits) {
  std::vector<MetricLimit> out;
  for (const auto& [metric, points] : limits.max_drop_points)
    out.push_back({"max_drop_points." + metric, metric, points, true});
  if (limits.max_accuracy_drop)
    out.push_back({"max_accuracy_drop", "", *limits.max_accuracy_drop, true});
  for (const auto& [metric, worst] : limits.bounds)
    out.push_back({"bounds." + metric, metric, worst});
  if (limits.min_agreement)
    out.push_back({"min_agreement", "agreement_with_fp32", *limits.min_agreement});
  if (limits.min_sqnr_db) out.push_back({"min_sqnr_db", "sqnr_db", *limits.min_sqnr_db});
  return out;
}

void check_needs(const LimitsParams& limits, bool labels, int64_t classes) {
  for (const MetricLimit& limit : metric_limits(limits)) {
    const MetricTable metrics = all_metrics();
    const MetricDef* metric = limit.metric.empty() ? nullptr : find_metric(limit.metric);
    const bool measured =
        labels || (metric ? !metric->needs_labels
                          : std::any_of(metrics.begin(), metrics.end(), [](const MetricDef* m) {
                              return !m->needs_labels && !m->needs_reference;
                            }));
    if (!measured)
      fail_usage("limits: '{}' needs labels; the evaluation data have none", limit.key);
    if (metric && classes > 0 && classes < metric->least_classes)
      fail_usage("limits: '{}' needs {} classes or more; the model has {}", limit.key,
                 metric->least_classes, classes);
  }
}

std::vector<LimitRecord> check_limits(const LimitsParams& limits, const Report& report,
                                      MetricTable metrics) {
  std::vector<LimitRecord> out;
  if (report.stages.empty()) return out;
  const StageRecord& last = report.stages.back();
  for (const MetricLimit& limit : metric_limits(limits))
    out.push_back(hold(limit, report, metrics));
  if (limits.max_size_mb)
    out.push_back(
        at_most("max_size_mb", *limits.max_size_mb, static_cast<double>(last.size_bytes) / 1e6));
  const double now = median_ms(last, limits.threads);
  if (limits.max_latency_ms) out.push_back(at_most("max_latency_ms", *limits.max_latency_ms, now));
  if (limits.min_speedup)
    out.push_back(at_least("min_speedup", *limits.min_speedup,
                           median_ms(report.stages.front(), limits.threads) / now));
  return out;
}

}  // namespace lapidary
