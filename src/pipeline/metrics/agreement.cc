#include <algorithm>
#include <limits>

#include "src/pipeline/metric.h"

namespace lapidary {

namespace {

/// Share of samples whose largest output is the float model's; of equal outputs the first counts.
class Agreement : public Metric {
 public:
  void see(const MetricBatch& batch) override {
    for (int64_t i = 0; i < batch.data.size(); ++i) {
      const auto mine = sample_of(batch.output, i), theirs = sample_of(*batch.reference, i);
      const auto largest = [](auto s) { return std::max_element(s.begin(), s.end()) - s.begin(); };
      agreed_ += largest(mine) == largest(theirs);
      ++samples_;
    }
  }

  double value() const override {
    if (samples_ == 0) return std::numeric_limits<double>::quiet_NaN();
    return static_cast<double>(agreed_) / static_cast<double>(samples_);
  }

 private:
  int64_t samples_ = 0, agreed_ = 0;
};

}  // namespace

const MetricDef& metric_agreement_with_fp32() {
  static const MetricDef kDef{
      "agreement_with_fp32", "Share of samples with the float model's answer", true, false, true, 100,
      []() -> std::unique_ptr<Metric> { return std::make_unique<Agreement>(); }};
  return kDef;
}

}  // namespace lapidary
