#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "lapidary/tensor.h"

// Between Lapidary's tensors (host, row-major) and ATen's.

namespace lapidary::train {

/// None for types that ATen lacks (strings, unsigned 16 to 64 bits, ...).
std::optional<at::ScalarType> scalar_type(DType dtype);
/// Throws Error{kInternal} for a type that Lapidary lacks.
DType dtype_of(at::ScalarType type);

/// On the CPU the elements are shared with `tensor`, kept alive and never to be written. Throws
/// Error{kUnsupported} for dtypes that ATen lacks.
at::Tensor to_aten(const Tensor& tensor, at::Device device);
/// A copy of the elements, row-major, whatever the layout and the device of `tensor`.
Tensor to_host(const at::Tensor& tensor);
/// Copies the elements of `from` into `to`, of the same shape and dtype.
void copy_into(const at::Tensor& to, const Tensor& from);

}  // namespace lapidary::train
