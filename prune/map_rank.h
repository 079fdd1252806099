#pragma once

#include <cstdint>
#include <span>

namespace lapidary::prune {

/// How many singular values of the matrix [rows, columns] are above max(rows, columns) 2^-23 times
/// the largest: the rank as numpy.linalg.matrix_rank judges float32. Row-major, finite elements.
int64_t map_rank(std::span<const float> elements, int64_t rows, int64_t columns);

}  // namespace lapidary::prune
