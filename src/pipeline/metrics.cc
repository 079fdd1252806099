#include <vector>

#include "lapidary/evaluate.h"
#include "src/pipeline/metric.h"

namespace lapidary {

#define LAPIDARY_METRIC(name) const MetricDef& metric_##name();
#include "src/pipeline/metrics/metrics.def"
#undef LAPIDARY_METRIC

MetricTable all_metrics() {
  static const std::vector<const MetricDef*> kAll = {
#define LAPIDARY_METRIC(name) &metric_##name(),
#include "src/pipeline/metrics/metrics.def"
#undef LAPIDARY_METRIC
  };
  return kAll;
}

const MetricDef* find_metric(std::string_view name) {
  for (const MetricDef* def : all_metrics())
    if (def->name == name) return def;
  return nullptr;
}

std::span<const float> sample_of(const Tensor& output, int64_t index) {
  const int64_t per_sample = output.dim(0) == 0 ? 0 : output.size() / output.dim(0);
  return output.data<float>().subspan(static_cast<size_t>(index * per_sample),
                                      static_cast<size_t>(per_sample));
}

std::vector<MetricInfo> list_metrics() {
  std::vector<MetricInfo> out;
  for (const MetricDef* def : all_metrics())
    out.push_back({std::string(def->name), std::string(def->help), def->higher_is_better,
                   def->needs_labels, def->needs_reference});
  return out;
}

}  // namespace lapidary
