#include "src/pipeline/limits.h"

#include <limits>
#include <optional>

#include "src/pipeline/metric.h"

namespace lapidary {

namespace {

constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

double metric_of(const StageRecord& stage, const std::string& name) {
  const auto found = stage.metrics.find(name);
  return found == stage.metrics.end() ? kNotMeasured : found->second;
}

double median_ms(const StageRecord& stage, int threads) {
  for (const Latency& l : stage.latency)
    if (l.threads == threads) return l.median_ms;
  return kNotMeasured;
}

/// How far a metric fell from the first stage to the last, in points.
double drop(const Report& report, const std::string& name) {
  const MetricDef* def = find_metric(name);
  if (def == nullptr) return kNotMeasured;
  const double before = metric_of(report.stages.front(), name);
  const double after = metric_of(report.stages.back(), name);
  return (def->higher_is_better ? before - after : after - before) * def->points;
}

/// The first metric that the first stage has.
std::string first_metric(const Report& report) {
  for (const MetricDef* def : all_metrics())
    if (report.stages.front().metrics.contains(std::string(def->name)))
      return std::string(def->name);
  return "top1";
}

LimitRecord at_most(std::string name, double asked, double got) {
  return {std::move(name), asked, got, got <= asked};  // NaN: not met
}
LimitRecord at_least(std::string name, double asked, double got) {
  return {std::move(name), asked, got, got >= asked};
}

}  // namespace

std::vector<MetricLimit> metric_limits(const LimitsParams& limits) {
  std::vector<MetricLimit> out;
  for (const auto& [metric, points] : limits.max_drop_points)
    out.push_back({"max_drop_points." + metric, metric, points, true});
  if (limits.max_accuracy_drop)
    out.push_back({"max_accuracy_drop", "", *limits.max_accuracy_drop, true});
  if (limits.min_agreement)
    out.push_back({"min_agreement", "agreement_with_fp32", *limits.min_agreement});
  if (limits.min_sqnr_db) out.push_back({"min_sqnr_db", "sqnr_db", *limits.min_sqnr_db});
  return out;
}

std::vector<LimitRecord> check_limits(const LimitsParams& limits, const Report& report) {
  std::vector<LimitRecord> out;
  if (report.stages.empty()) return out;
  const StageRecord& last = report.stages.back();
  for (const MetricLimit& limit : metric_limits(limits)) {
    const std::string metric = limit.metric.empty() ? first_metric(report) : limit.metric;
    out.push_back(limit.drop ? at_most(limit.key, limit.asked, drop(report, metric))
                             : at_least(limit.key, limit.asked, metric_of(last, metric)));
  }
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
