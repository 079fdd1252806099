#pragma once

#include <string>
#include <vector>

#include "lapidary/report.h"
#include "src/pipeline/metric.h"
#include "src/pipeline/recipe_impl.h"

namespace lapidary {

/// A limit on a metric.
struct MetricLimit {
  std::string key;     ///< in the recipe's `limits`: "max_drop_points.top1", "min_sqnr_db"
  std::string metric;  ///< empty: the first one that the reference has
  double asked = 0;
  bool drop = false;  ///< points below the reference; otherwise the last stage's worst value
};
std::vector<MetricLimit> metric_limits(const LimitsParams& limits);

/// Throws Error{kUsage} for limits on metrics that need labels where the data bring none, or more
/// classes than the model has (0: unknown).
void check_needs(const LimitsParams& limits, bool labels, int64_t classes);

/// Each limit of the recipe against what the report's first and last stage say. A figure that was
/// not measured misses its limit.
std::vector<LimitRecord> check_limits(const LimitsParams& limits, const Report& report,
                                      MetricTable metrics = all_metrics());

}  // namespace lapidary
