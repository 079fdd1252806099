#pragma once

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <string>

#include "lapidary/report.h"
#include "src/pipeline/metric.h"

namespace lapidary {

inline std::string size_text(int64_t bytes) {
  const double b = static_cast<double>(bytes);
  if (bytes < 1000) return fmt::format("{} B", bytes);
  return b < 1e6 ? fmt::format("{:.1f} kB", b / 1e3) : fmt::format("{:.2f} MB", b / 1e6);
}

/// "3.59x smaller", "2.60x larger".
inline std::string change_text(double before, double after, const char* less, const char* more) {
  if (!(before > 0) || !(after > 0)) return "not comparable";
  const bool down = after <= before;
  return fmt::format("{:.2f}x {}", down ? before / after : after / before, down ? less : more);
}
inline std::string size_change_text(int64_t before, int64_t after) {
  if (before == after) return "the same size";
  return change_text(static_cast<double>(before), static_cast<double>(after), "smaller", "larger");
}
inline std::string speed_change_text(double before_ms, double after_ms) {
  return change_text(before_ms, after_ms, "faster", "slower");
}

inline std::string count_text(int64_t n) {
  const double v = static_cast<double>(n);
  if (n < 10'000) return fmt::format("{}", n);
  return v < 1e6 ? fmt::format("{:.1f} k", v / 1e3) : fmt::format("{:.2f} M", v / 1e6);
}

/// A value in the metric's unit, a share of samples as per cent; NaN in words.
inline std::string metric_text(const MetricDef& metric, double value) {
  if (!std::isfinite(value)) return "not finite";
  const std::string figure = fmt::format("{:.2f}", value * metric.points);
  return metric.unit.empty() ? figure : fmt::format("{} {}", figure, metric.unit);
}

inline std::optional<double> metric_of(const StageRecord& stage, const MetricDef& metric) {
  const auto found = stage.metrics.find(std::string(metric.name));
  return found != stage.metrics.end() ? std::optional<double>(found->second) : std::nullopt;
}

/// The stage that a report's last one is shown beside: what it is held against, where that is
/// another one.
inline const StageRecord& earlier_stage(const Report& r) {
  return r.reference + 1 < r.stages.size() ? r.stages[r.reference] : r.stages.front();
}

/// The latency at the first thread count that was measured.
inline std::optional<Latency> first_latency(const StageRecord& stage) {
  return stage.latency.empty() ? std::nullopt : std::optional<Latency>(stage.latency.front());
}

}  // namespace lapidary
