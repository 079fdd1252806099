#include "src/base/signal.h"
#include "src/pipeline/metric.h"

namespace lapidary {

namespace {

/// Mean over samples of 10 log10(sum y^2 / sum (y - yq)^2); NaN where an output is not finite.
class Sqnr : public Metric {
 public:
  void see(const MetricBatch& batch) override {
    for (int64_t i = 0; i < batch.data.size(); ++i) {
      total_ +=
          sqnr_db(sample_of(batch.reference->first(), i), sample_of(batch.outputs.first(), i));
      ++samples_;
    }
  }

  std::optional<double> value() const override {
    if (samples_ == 0) return {};
    return total_ / static_cast<double>(samples_);
  }

 private:
  int64_t samples_ = 0;
  double total_ = 0;
};

}  // namespace

const MetricDef& metric_sqnr_db() {
  static const MetricDef kDef{
      .name = "sqnr_db",
      .help = "Signal to quantization noise of the output, mean over samples, dB",
      .label = "output SQNR",
      .unit = "dB",
      .headline = true,
      .needs_reference = true,
      .make = []() -> std::unique_ptr<Metric> { return std::make_unique<Sqnr>(); }};
  return kDef;
}

}  // namespace lapidary
