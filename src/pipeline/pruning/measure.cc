#include "src/pipeline/pruning/measure.h"

#include <algorithm>
#include <cmath>

#include "src/base/fail.h"
#include "src/pipeline/evaluate_models.h"

namespace lapidary {

PruneMeasure::PruneMeasure(const StepContext& context, const Graph& whole,
                           std::optional<std::string> metric, int64_t samples,
                           std::optional<std::string> fallback)
    : whole_(whole), asked_(samples), threads_(context.threads) {
  for (const std::string_view role : roles())
    if (data_ == nullptr) data_ = context.data(role);
  if (data_ == nullptr)
    fail_usage("models are measured between: give `data: {{valid: ...}}`, or `calib`");
  const std::string name = metric.value_or(data_->labelled() ? "top1" : "agreement_with_fp32");
  check_metrics({name}, data_->labelled());
  metric_ = find_metric(name);
  whole_value_ = (*this)({whole}).at(0);
  if (!std::isfinite(whole_value_) && !metric && fallback) {
    metric_ = find_metric(*fallback);
    whole_value_ = (*this)({whole}).at(0);
  }
  if (!std::isfinite(whole_value_))
    fail_usage(
        "'{}' of the model as it is has no finite value on these data; name another metric: "
        "{{metric: sqnr_db}}, of a budget with `min_value: 20`",
        metric_->name);
}

std::vector<double> PruneMeasure::operator()(const std::vector<Graph>& models) {
  std::vector<EvaluatedModel> all;
  if (metric_->needs_reference) all.push_back({&whole_});
  for (const Graph& model : models) all.push_back({&model});
  const std::string name(metric_->name);
  const auto found = evaluate_models(all, metric_->needs_reference ? 0 : -1, *data_,
                                     {.metrics = {name}, .threads = threads_}, asked_);
  samples_ = found.at(0).samples;
  std::vector<double> out;
  for (size_t i = all.size() - models.size(); i < found.size(); ++i)
    out.push_back(found[i].metric(name));
  return out;
}

}  // namespace lapidary
