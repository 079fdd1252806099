#include <algorithm>
#include <cmath>

#include "src/pipeline/metric.h"

namespace lapidary {

namespace {

/// Share of samples whose largest output is the float model's; of equal outputs the first counts.
/// Absent where outputs are not [N, classes] but for axes of 1: boxes have no largest element. A
/// sample with NaN in it has no largest output, one whose largest is infinite none that can be
/// trusted.
class Agreement : public Metric {
 public:
  void see(const MetricBatch& batch) override {
    const Tensor& output = batch.outputs.first();
    const Shape& shape = output.shape();
    meaningful_ &=
        std::count_if(shape.begin() + 1, shape.end(), [](int64_t d) { return d > 1; }) < 2;
    for (int64_t i = 0; i < batch.data.size(); ++i) {
      const auto mine = sample_of(output, i), theirs = sample_of(batch.reference->first(), i);
      const auto answer = largest(mine);
      agreed_ += answer >= 0 && answer == largest(theirs);
      ++samples_;
    }
  }

  std::optional<double> value() const override {
    if (samples_ == 0 || !meaningful_) return {};
    return static_cast<double>(agreed_) / static_cast<double>(samples_);
  }

 private:
  /// Where the largest output lies; -1: there is none.
  static std::ptrdiff_t largest(std::span<const float> scores) {
    if (std::any_of(scores.begin(), scores.end(), [](float s) { return std::isnan(s); })) return -1;
    const auto at = std::max_element(scores.begin(), scores.end());
    return at != scores.end() && std::isfinite(*at) ? at - scores.begin() : -1;
  }

  int64_t samples_ = 0, agreed_ = 0;
  bool meaningful_ = true;
};

}  // namespace

const MetricDef& metric_agreement_with_fp32() {
  static const MetricDef kDef{
      .name = "agreement_with_fp32",
      .help = "Share of samples with the float model's answer",
      .label = "same answer as FP32",
      .unit = "%",
      .headline = true,
      .needs_reference = true,
      .points = 100,
      .make = []() -> std::unique_ptr<Metric> { return std::make_unique<Agreement>(); }};
  return kDef;
}

}  // namespace lapidary
