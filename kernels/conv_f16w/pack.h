#pragma once

#include "kernels/conv_f32/conv_f32.h"
#include "kernels/igemm/plan.h"

namespace lapidary::kernels {

/// FP32 bias, then FP16 weights as igemm/plan.h orders them, in units of 1.
void pack_f16w_igemm(const ConvShape& shape, const ConvF32Weights& weights,
                     const IgemmTraits& traits, void* packed);

}  // namespace lapidary::kernels
