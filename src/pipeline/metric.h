#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/tensor.h"

namespace lapidary {

/// A graph's outputs for one batch of N samples, in the graph's order: the first one as float32
/// [N, ...], the others as the model makes them.
struct Outputs {
  std::vector<std::pair<std::string, Tensor>> entries;

  const Tensor& first() const { return entries.at(0).second; }
  /// Null where the graph has no output of that name.
  const Tensor* find(std::string_view name) const {
    for (const auto& [key, tensor] : entries)
      if (key == name) return &tensor;
    return nullptr;
  }
};

/// What a metric sees of one batch.
struct MetricBatch {
  const Batch& data;  ///< labels and targets
  const Outputs& outputs;
  const Outputs* reference;  ///< the float model's, its first of the same shape; or null
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
  std::string_view label;  ///< in sentences: "top-1"
  std::string_view unit;   ///< of value() * points: "%", "dB"
  bool headline = false;   ///< has a card of its own, and bars where the first stage has it too
  bool higher_is_better = true;
  bool needs_labels = false, needs_reference = false;
  int64_t least_classes = 0;  ///< with fewer the figure says nothing
  /// Points per unit of value(), for limits and in print: 100 for shares of samples, 1 for figures
  /// with their own unit.
  double points = 1;
  bool is_share() const { return points == 100; }
  std::unique_ptr<Metric> (*make)() = nullptr;
};

using MetricTable = std::span<const MetricDef* const>;
MetricTable all_metrics();
/// Null where there is none of that name.
const MetricDef* find_metric(std::string_view name);

/// The elements of one sample, as one run of floats: [N, ...] -> ....
std::span<const float> sample_of(const Tensor& output, int64_t index);

}  // namespace lapidary
