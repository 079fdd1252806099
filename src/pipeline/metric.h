#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "lapidary/data.h"
#include "lapidary/tensor.h"

namespace lapidary {

/// What a metric sees of one batch.
struct MetricBatch {
  const Batch& data;        ///< labels and targets
  const Tensor& output;     ///< first graph output as float32 [N, ...]
  const Tensor* reference;  ///< the float model's, or null
};

/// One figure, gathered over batches in the order of the data.
class Metric {
 public:
  virtual ~Metric() = default;
  virtual void see(const MetricBatch& batch) = 0;
  /// Absent where the figure has no meaning for this data (top-5 of two classes): it is left out.
  /// NaN where outputs that are not finite leave it without a value: no limit on it is met.
  virtual std::optional<double> value() const = 0;
};

/// A row of metrics.def.
struct MetricDef {
  std::string_view name, help;
  bool higher_is_better;
  bool needs_labels, needs_reference;
  /// Points of 100 per unit, for limits: 100 for shares of samples, 1 for figures with their own
  /// unit.
  double points;
  std::unique_ptr<Metric> (*make)();
};

std::span<const MetricDef* const> all_metrics();
/// Null where there is none of that name.
const MetricDef* find_metric(std::string_view name);

/// The elements of one sample, as one run of floats: [N, ...] -> ....
std::span<const float> sample_of(const Tensor& output, int64_t index);

}  // namespace lapidary
