#pragma once

#include "kernels/eltwise_f32/eltwise_f32.h"
#include "kernels/row.h"

namespace lapidary::kernels {

/// FP32 matrix product: y[m, n] = activation(bias[n] + sum_k a[m, k] * b[k, n]  (+ residual[m,
/// n])).
struct GemmF32Shape {
  int64_t m = 1, n = 1, k = 1;
};

/// Where B is and how: [K, N] with `ld` elements between rows, or its transpose [N, K].
struct GemmF32B {
  const float* data = nullptr;
  int64_t ld = 0;  ///< 0: contiguous
  bool transposed = false;
};

struct GemmF32Args {
  GemmF32Shape shape;
  int64_t m_begin = 0, m_end = -1;  ///< rows that this call computes; -1: all
  int64_t block_begin = 0,
          block_end = -1;  ///< column blocks that this call computes, of blocks(shape)
  const float* a = nullptr;
  int64_t lda = 0;  ///< 0: k
  /// Exactly one of the two: packed by pack, or B as it is, [K, N] (not transposed), 64 readable
  /// bytes after it. Packing pays where B is used again or m is large.
  const void* packed_b = nullptr;
  GemmF32B b;
  float* y = nullptr;
  int64_t ldy = 0;              ///< 0: n
  const float* bias = nullptr;  ///< [N], 64 readable bytes after it; null: 0
  const float* residual = nullptr;
  int64_t ld_residual = 0;  ///< 0: n
  ActivationF32 activation;
};

struct GemmF32Functions {
  size_t (*packed_bytes)(const GemmF32Shape&);  ///< independent of m
  int64_t (*blocks)(const GemmF32Shape&);       ///< blocks of columns, independent of m
  void (*pack)(const GemmF32Shape&, const GemmF32B&, void* packed);
  void (*run)(const GemmF32Args&);
};
struct GemmF32Kernel {
  RowInfo row;
  const GemmF32Functions* call;
};

std::span<const GemmF32Kernel> gemm_f32_kernels();
Choice<GemmF32Kernel> select_gemm_f32(const GemmF32Shape&);
/// The whole product on up to `threads` threads (0: thread_count()).
void run_gemm_f32(const GemmF32Kernel&, const GemmF32Args&, int threads = 0);

}  // namespace lapidary::kernels
