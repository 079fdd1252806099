#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

#include "src/train/communicator.h"

namespace lapidary::train {

/// BatchNormalization of x [N, C, ...] by the mean and the biased variance of all processes'
/// batches. Returns y, the mean [C] and 1 / sqrt(variance + epsilon) [C].
std::tuple<at::Tensor, at::Tensor, at::Tensor> batch_norm_across(Communicator& others,
                                                                 const at::Tensor& x,
                                                                 const at::Tensor& scale,
                                                                 const at::Tensor& bias,
                                                                 double epsilon);

}  // namespace lapidary::train
