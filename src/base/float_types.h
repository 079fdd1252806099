#pragma once

#include "lapidary/tensor.h"

namespace lapidary {

/// The elements of a floating tensor in another floating type, by way of float32, each step rounded
/// half to even.
Tensor to_float_type(const Tensor& tensor, DType dtype);

/// The tensor as somebody takes it who wants `dtype`: floats in that type where it is one too, all
/// others as they are.
Tensor as_wanted(const Tensor& tensor, DType dtype);

}  // namespace lapidary
