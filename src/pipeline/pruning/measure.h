#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/pipeline/metric.h"
#include "src/pipeline/step.h"

namespace lapidary {

/// Measures models that lost units by one metric, on samples spread over data that the result is
/// not judged by.
class PruneMeasure {
 public:
  /// Roles of such data, the first that a recipe names.
  static std::vector<std::string_view> roles() { return {"valid", "calib"}; }

  /// `whole`: the model before. Metric absent: top1 where the data have labels, else agreement with
  /// `whole`, else (no agreement: no classes to compare) what `fallback` names. Throws
  /// Error{kUsage} where the metric's needs are not met or it has no value there.
  PruneMeasure(const StepContext& context, const Graph& whole, std::optional<std::string> metric,
               int64_t samples, std::optional<std::string> fallback = std::nullopt);

  /// Of each model, all in one pass over the samples; NaN: outputs are not finite.
  std::vector<double> operator()(const std::vector<Graph>& models);

  const MetricDef& metric() const { return *metric_; }
  const Dataset& data() const { return *data_; }
  int64_t samples() const { return samples_; }  ///< that could be used
  double whole() const { return whole_value_; }

 private:
  const Graph& whole_;
  const Dataset* data_ = nullptr;
  const MetricDef* metric_ = nullptr;
  int64_t asked_, samples_ = 0;
  int threads_;
  double whole_value_ = 0;
};

}  // namespace lapidary
