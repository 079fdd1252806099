#pragma once

#include <vector>

#include "lapidary/evaluate.h"
#include "lapidary/exec.h"
#include "lapidary/report.h"

namespace lapidary {

/// A step as it is planned: without errors and times.
LayerRecord layer_record(const StepInfo& step);

struct LayerRecordOptions {
  int threads = 0;
  bool timed = true;  ///< false: LayerRecord::latency_ms stays empty
};
/// Layers of a model with their errors, kernels and times: of one inference of the data's first
/// batch, several where they are timed.
std::vector<LayerRecord> layer_records(const Graph& model, const std::vector<LayerError>& errors,
                                       const Dataset& data, const LayerRecordOptions& options);

}  // namespace lapidary
