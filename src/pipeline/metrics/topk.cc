#include <algorithm>
#include <cmath>

#include "src/pipeline/metric.h"

namespace lapidary {

namespace {

/// Share of samples whose label is among the k largest outputs; of equal outputs the first counts.
/// A score that is not finite is a miss, and NaN elsewhere may be larger than any score: it ranks
/// before it.
class TopK : public Metric {
 public:
  explicit TopK(size_t k) : k_(k) {}

  void see(const MetricBatch& batch) override {
    for (int64_t i = 0; i < batch.data.size(); ++i) {
      const auto scores = sample_of(batch.outputs.first(), i);
      const int64_t label = batch.data.labels[static_cast<size_t>(i)];
      meaningful_ &= scores.size() > k_;
      ++samples_;
      if (label < 0 || label >= static_cast<int64_t>(scores.size())) continue;
      const auto at = scores.begin() + label;
      if (!std::isfinite(*at)) continue;
      const auto before = std::count_if(scores.begin(), at, [&](float s) { return !(s < *at); });
      const auto after = std::count_if(at + 1, scores.end(), [&](float s) { return !(s <= *at); });
      hits_ += static_cast<size_t>(before + after) < k_;
    }
  }

  std::optional<double> value() const override {
    if (!meaningful_ || samples_ == 0) return {};
    return static_cast<double>(hits_) / static_cast<double>(samples_);
  }

 private:
  size_t k_;
  int64_t samples_ = 0, hits_ = 0;
  bool meaningful_ = true;
};

}  // namespace

const MetricDef& metric_top1() {
  static const MetricDef kDef{
      .name = "top1",
      .help = "Share of samples whose largest output is the label",
      .label = "top-1",
      .unit = "%",
      .headline = true,
      .needs_labels = true,
      .points = 100,
      .make = []() -> std::unique_ptr<Metric> { return std::make_unique<TopK>(1); }};
  return kDef;
}

const MetricDef& metric_top5() {
  static const MetricDef kDef{
      .name = "top5",
      .help = "Share of samples whose label is among the five largest outputs",
      .label = "top-5",
      .unit = "%",
      .needs_labels = true,
      .least_classes = 6,
      .points = 100,
      .make = []() -> std::unique_ptr<Metric> { return std::make_unique<TopK>(5); }};
  return kDef;
}

}  // namespace lapidary
