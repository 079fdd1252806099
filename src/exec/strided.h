#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lapidary::exec {

/// One axis of a copy: `size` elements, `x` and `y` elements apart in source and target. x may be 0
/// (repeated) or negative.
struct CopyAxis {
  int64_t size = 1, x = 0, y = 0;
};

/// y[y_offset + sum_a i_a * y_a] = x[x_offset + sum_a i_a * x_a] for all indices i.
struct StridedCopy {
  size_t element_bytes = 4;
  std::vector<CopyAxis> axes;  ///< outermost first
  int64_t x_offset = 0, y_offset = 0;

  /// Drops axes of size 1 and joins neighbours that are one run in both.
  void simplify();
};

/// `threads` as for parallel_for.
void copy_strided(const StridedCopy& copy, const void* x, void* y, int threads);

/// Strides of a contiguous row-major array, in elements.
std::vector<int64_t> strides_of(std::span<const int64_t> shape);

}  // namespace lapidary::exec
