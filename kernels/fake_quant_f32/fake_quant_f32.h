#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

// y = clamp(r, lo, hi) * scale,  u = x / scale,  r = rint(u): true division, half to even, what
// QuantizeLinear -> DequantizeLinear makes, where lo = qmin - zero point and hi = qmax - zero
// point; integers, |lo|, |hi| <= 2^17. A NaN stays one. Backwards, g = dL/dy:
//   dx = lo <= r <= hi ? g : 0
//   kScale         s = sum g * (r < lo ? lo : r > hi ? hi : r - u)        (Esser et al. 2020)
//   kScaleAndZero  s, and z = sum g outside [lo, hi]: dL/dz = -scale * z    (Bhalgat et al. 2020)
//   kAbove         s = sum g where r > hi: dL/dscale = hi * s      (Choi et al. 2018)
// A NaN in x counts as below lo. Other than elsewhere, nothing is read behind the arrays: they may
// be another library's. Sums have the same bits on every row as long as x is 0 or beyond 2^-100.

enum class FakeQuantSum { kNone, kScale, kScaleAndZero, kAbove };

/// Elements whose sum is one float32; lanes i mod 16 of a block, then the lanes in a tree.
inline constexpr int64_t kFakeQuantBlock = 4096;

/// One scale for all.
struct FakeQuantArgs {
  int64_t count = 0;
  const float* x = nullptr;
  float* y = nullptr;
  float scale = 1;  ///< positive and normal
  int lo = 0, hi = 255;
};
struct FakeQuantBackwardArgs {
  int64_t count = 0;
  const float *g = nullptr, *x = nullptr;
  float* dx = nullptr;
  float scale = 1;
  int lo = 0, hi = 255;
  FakeQuantSum sum = FakeQuantSum::kNone;
  float *s = nullptr, *z = nullptr;  ///< one per block of kFakeQuantBlock elements, where asked
};

/// Channels last: x[rows, cols] with a scale and levels for each column; `s` and `z` are added to,
/// row after row.
struct FakeQuantColumnsArgs {
  int64_t rows = 0, cols = 0;
  const float* x = nullptr;
  float* y = nullptr;
  const float *scale = nullptr, *lo = nullptr, *hi = nullptr;  ///< [cols]
};
struct FakeQuantColumnsBackwardArgs {
  int64_t rows = 0, cols = 0;
  const float *g = nullptr, *x = nullptr;
  float* dx = nullptr;
  const float *scale = nullptr, *lo = nullptr, *hi = nullptr;
  FakeQuantSum sum = FakeQuantSum::kNone;
  float *s = nullptr, *z = nullptr;  ///< [cols], where asked
};

struct FakeQuantF32Functions {
  void (*forward)(const FakeQuantArgs&);
  void (*backward)(const FakeQuantBackwardArgs&);
  void (*columns_forward)(const FakeQuantColumnsArgs&);
  void (*columns_backward)(const FakeQuantColumnsBackwardArgs&);
};
struct FakeQuantF32Kernel {
  RowInfo row;
  const FakeQuantF32Functions* call;
};

std::span<const FakeQuantF32Kernel> fake_quant_f32_kernels();
Choice<FakeQuantF32Kernel> select_fake_quant_f32();

}  // namespace lapidary::kernels
