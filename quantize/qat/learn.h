#pragma once

#include "lapidary/qat.h"

namespace lapidary {

/// TrainedParameter::least_share of scales: a step through zero would leave its channel without a
/// value other than 0, and without a gradient that leads back.
inline constexpr double kLeastShare = 1.0 / 16;

/// Throws Error{kUsage} for a method that there is not.
void check_method(const std::string& method);
/// Whether the method learns the scales of weights.
bool learns_weight_scales(const std::string& method);

/// Gives every FakeQuantize node the gradient of the method, and DoReFa's weights their way through
/// tanh; what is then trained. Warns where the method learns nothing that another does not.
std::vector<TrainedParameter> set_learning(Graph& graph, const QatOptions& options,
                                           std::vector<std::string>& warnings);

}  // namespace lapidary
