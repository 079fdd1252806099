#pragma once

#include <vector>

#include "lapidary/evaluate.h"
#include "src/pipeline/metric.h"

namespace lapidary {

struct EvaluatedModel {
  const Graph* graph = nullptr;
  FloatArithmetic float_arithmetic = FloatArithmetic::kF32;
  IntegerArithmetic integer_arithmetic = IntegerArithmetic::kExact;
};

/// Runs all models over the data in one pass, so that each sample is decoded once. `reference`
/// indexes the float model that the others are held against, or is -1. Each model says what it is
/// computed in, not `options`. On so many `samples`, in small batches spread over the data; 0: on
/// all.
std::vector<Validation> evaluate_models(const std::vector<EvaluatedModel>& models, int reference,
                                        const Dataset& data, const EvaluateOptions& options,
                                        int64_t samples = 0);

/// Throws Error{kUsage} for names that are no metrics, and for those that need labels where the
/// data bring none.
void check_metrics(const std::vector<std::string>& asked, bool labels);

/// The values of a graph's outputs, as metrics see them: `made` for `fed` rows, those beyond the
/// batch (repeated samples) left out. Throws Error{kInvalid} where the first one's first axis is
/// not the batch.
Outputs outputs_of(const Graph& graph, const Executor::Values& made, int64_t fed,
                   const Batch& batch);

/// "" where all outputs of a model are finite, otherwise a sentence that counts those that are not.
std::string nonfinite_warning(const std::string& model, const Validation& found);
/// "" where no layer saturates, otherwise how many do, where, and what to do about it.
std::string saturation_warning(const std::vector<LayerSaturation>& layers);

}  // namespace lapidary
