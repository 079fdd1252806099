#pragma once

#include <array>
#include <vector>

#include "src/ops/infer.h"

namespace lapidary {

/// [M, N] of op(A) op(B), A and B transposed as transA and transB say. Absent where a rank is not
/// known.
std::optional<std::vector<Dim>> gemm_output_shape(const InferContext& context, size_t a, size_t b);
/// Throws Error{kInvalid} unless input `c` is absent or broadcasts to `y`.
void check_gemm_bias(const InferContext& context, size_t c,
                     const std::optional<std::vector<Dim>>& y);

/// op(A) [M, K], op(B) [K, N], C and output 0, by transA and transB.
void tie_gemm(AxisFlow& flow, size_t a, size_t b, size_t c);

/// A matrix [rows, columns], transposed where asked.
template <class T>
std::vector<T> transposed(std::vector<T> in, const Shape& shape, bool transpose) {
  if (!transpose) return in;
  const auto rows = static_cast<size_t>(shape[0]), columns = static_cast<size_t>(shape[1]);
  std::vector<T> out(in.size());
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) out[c * rows + r] = in[r * columns + c];
  return out;
}
inline Shape transposed_shape(const Shape& shape, bool transpose) {
  return transpose ? Shape{shape[1], shape[0]} : shape;
}

}  // namespace lapidary
