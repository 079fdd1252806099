#pragma once

#include <vector>

#include "lapidary/evaluate.h"

namespace lapidary {

struct EvaluatedModel {
  const Graph* graph = nullptr;
  FloatArithmetic float_arithmetic = FloatArithmetic::kF32;
  IntegerArithmetic integer_arithmetic = IntegerArithmetic::kExact;
};

/// Runs all models over the data in one pass, so that each sample is decoded once. `reference`
/// indexes the float model that the others are held against, or is -1. Each model says what it is
/// computed in, not `options`.
std::vector<Validation> evaluate_models(const std::vector<EvaluatedModel>& models, int reference,
                                        const Dataset& data, const EvaluateOptions& options);

/// "" where all outputs of a model are finite, otherwise a sentence that counts those that are not.
std::string nonfinite_warning(const std::string& model, const Validation& found);
/// "" where no layer saturates, otherwise how many do, where, and what to do about it.
std::string saturation_warning(const std::vector<LayerSaturation>& layers);

}  // namespace lapidary
