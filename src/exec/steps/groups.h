#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/conv_shape.h"

namespace lapidary::exec {

/// How many neighbouring groups to compute as one, weights between different ones zero, so that
/// their output channels share a vector: as many products as apart, fewer tiles. 1: none.
int64_t groups_to_join(const kernels::ConvShape& shape);

/// False where a float is infinite, NaN, or so large that bfloat16 rounds it to infinity. Of
/// floats, groups may be computed as one only where this holds: the zeros between them make NaN of
/// infinity.
bool all_finite(const float* x, int64_t count, int threads);

/// Weights [OC, IC/G, KH, KW] as [OC, n*IC/G, KH, KW]; `zero(oc)` stands between groups.
template <class T, class Zero>
std::vector<T> join_groups(const kernels::ConvShape& s, int64_t n, const T* weights,
                           const Zero& zero) {
  const int64_t filter = s.in_c / s.groups * s.kernel_h * s.kernel_w;
  const int64_t group_out = s.out_c / s.groups;
  std::vector<T> joined;
  joined.reserve(static_cast<size_t>(s.out_c * n * filter));
  for (int64_t oc = 0; oc < s.out_c; ++oc)
    for (int64_t g = 0; g < n; ++g) {
      const T* own = weights + oc * filter;
      if (g == oc / group_out % n)
        joined.insert(joined.end(), own, own + filter);
      else
        joined.insert(joined.end(), static_cast<size_t>(filter), static_cast<T>(zero(oc)));
    }
  return joined;
}

}  // namespace lapidary::exec
