#pragma once

#include <span>
#include <vector>

#include "src/base/parallel.h"
#include "src/ops/infer.h"

// NumPy's matmul: a [batch..., M, K] x b [batch..., K, N] -> [batch..., M, N]; batches broadcast, a
// vector on the left is a row, on the right a column, and its axis is dropped from the result.

namespace lapidary {

/// Throws Error{kInvalid} naming both shapes where K disagrees. Absent where a rank is not known.
std::optional<std::vector<Dim>> matmul_output_shape(const InferContext& context, size_t a,
                                                    size_t b);

/// Batches, M, N and K of inputs `a` and `b` and output 0.
void tie_matmul(AxisFlow& flow, size_t a, size_t b);

struct MatMulGeometry {
  int64_t m = 1, n = 1, k = 1;
  Shape output;
  std::vector<int64_t> a_offset, b_offset;  ///< first element of each matrix of the batch
};
MatMulGeometry matmul_geometry(const Shape& a, const Shape& b);

/// M N K for each matrix of the batch.
int64_t matmul_macs_of(const TensorType& a, const TensorType& y);

/// store(row index into the output, acc of N sums): acc[n] = sum over k in order of a[m,k] b[k,n].
template <class Acc, class In, class Store>
void matmul(const MatMulGeometry& g, std::span<const In> a, std::span<const In> b, Store store) {
  const int64_t rows = static_cast<int64_t>(g.a_offset.size()) * g.m;
  parallel_for(rows, 1, [&](int64_t begin, int64_t end, int) {
    std::vector<Acc> acc(static_cast<size_t>(g.n));
    for (int64_t row = begin; row < end; ++row) {
      const auto batch = static_cast<size_t>(row / g.m);
      const In* left = a.data() + g.a_offset[batch] + row % g.m * g.k;
      const In* right = b.data() + g.b_offset[batch];
      std::fill(acc.begin(), acc.end(), Acc{});
      for (int64_t k = 0; k < g.k; ++k) {
        const Acc scale = static_cast<Acc>(left[k]);
        for (int64_t n = 0; n < g.n; ++n)
          acc[static_cast<size_t>(n)] += scale * static_cast<Acc>(right[k * g.n + n]);
      }
      store(row, std::span<const Acc>(acc));
    }
  });
}

}  // namespace lapidary
