#pragma once

#include <string>

#include "kernels/conv_f32/conv_f32.h"
#include "src/exec/planner.h"

namespace lapidary::exec {

/// A row that multiplies by constant weights in what the plan asks for.
struct NarrowProduct {
  const kernels::ConvF32Kernel* row = nullptr;  ///< null: FP32 weights are to be multiplied
  std::string precision = "float32";
};

/// BF16 where the plan says so and the shape allows it; FP16 weights where the plan says so or they
/// are FP16 already, unless one is beyond its range.
NarrowProduct narrow_product(const PlanBuilder& b, const kernels::ConvShape& shape,
                             const Tensor& weights);

}  // namespace lapidary::exec
