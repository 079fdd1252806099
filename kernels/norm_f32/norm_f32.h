#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

/// Normalization of `rows` rows of `cols` elements, one after the other:
///   m = mean(x), or 0 where not `centred`
///   y = (x - m) * (1 / sqrt(mean((x - m)^2) + epsilon)) * scale[c] + bias[c]
/// in float32; sums run in 16 lanes (lane_sum.h), so every row of kernels.def gives the same bits.
/// x and y are floats, or bytes: x = float(q - x_zero) * x_scale, q = byte(rint(y / y_scale) +
/// y_zero) saturated to 0..255, half to even, NaN gives 0 (s8 as bytes with 128 added).
struct NormF32Args {
  int64_t rows = 0, cols = 0;
  const float* x = nullptr;  ///< this or x_bytes; 64 readable bytes after it
  const uint8_t* x_bytes = nullptr;
  float x_scale = 1;
  int x_zero = 0;
  float* y = nullptr;          ///< this or y_bytes; may be x
  uint8_t* y_bytes = nullptr;  ///< may be x_bytes
  float y_scale = 1;
  int y_zero = 0;
  bool centred = true;
  float epsilon = 0;
  const float* scale = nullptr;  ///< [cols], 64 readable bytes after it; null: 1
  const float* bias = nullptr;   ///< likewise; null: 0
};

struct NormF32Functions {
  void (*normalize)(const NormF32Args&);
};
struct NormF32Kernel {
  RowInfo row;
  const NormF32Functions* call;
};

std::span<const NormF32Kernel> norm_f32_kernels();
Choice<NormF32Kernel> select_norm_f32();

}  // namespace lapidary::kernels
