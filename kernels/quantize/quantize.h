#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

/// y = byte(rint(x / scale) + zero), saturated to [lo, hi]: true division, half to even; NaN gives
/// lo. lo and hi are 0..255 for u8, -128..127 for s8 (stored as its two's complement byte). The
/// input is `batch` matrices of rows x cols; where `transpose`, the output of each is cols x rows
/// (NCHW to NHWC: rows = C, cols = H*W).
struct QuantizeArgs {
  int64_t batch = 1, rows = 1, cols = 0;
  int64_t x_row =
      0;  ///< elements between rows of x, where these are some columns of one matrix; 0: cols
  int64_t batch_begin = 0, batch_end = -1;
  bool transpose = false;
  const float* x = nullptr;
  void* y = nullptr;
  float scale = 1;
  int zero = 0, lo = 0, hi = 255;
};

/// y = float(q - zero) * scale, q u8 or s8; batch, rows, cols and transpose as above.
struct DequantizeArgs {
  int64_t batch = 1, rows = 1, cols = 0;
  int64_t batch_begin = 0, batch_end = -1;
  bool transpose = false;
  bool is_signed = false;
  const void* x = nullptr;
  float* y = nullptr;
  float scale = 1;
  int zero = 0;
};

/// y[i] = byte(rint(min(max(x[i] * multiplier, 0 - zero), 255 - zero)) + zero), half to even; NaN
/// gives 0: what conv_s8 makes of its accumulators, from sums that floats hold exactly.
struct RequantizeArgs {
  int64_t count = 0;
  const float* x = nullptr;
  uint8_t* y = nullptr;
  float multiplier = 1;
  int zero = 0;
};

struct QuantizeFunctions {
  void (*quantize)(const QuantizeArgs&);
  void (*dequantize)(const DequantizeArgs&);
  void (*requantize)(const RequantizeArgs&);
};
struct QuantizeKernel {
  RowInfo row;
  const QuantizeFunctions* call;
};

std::span<const QuantizeKernel> quantize_kernels();
Choice<QuantizeKernel> select_quantize();

}  // namespace lapidary::kernels
