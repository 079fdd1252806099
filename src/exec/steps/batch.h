#pragma once

#include <vector>

#include "lapidary/tensor.h"

namespace lapidary::exec {

/// Offsets (in elements) of an operand's matrices for each matrix of the result, [.., M, N] in
/// row-major order; axes of size 1 are repeated. `matrix`: elements of one of its matrices.
std::vector<int64_t> batch_offsets(const Shape& operand, const Shape& result, int64_t matrix);

}  // namespace lapidary::exec
