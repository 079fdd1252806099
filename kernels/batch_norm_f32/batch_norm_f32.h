#pragma once

#include "kernels/fake_quant_f32/fake_quant_f32.h"
#include "kernels/row.h"

namespace lapidary::kernels {

// Batch normalization of x [rows, cols], channels innermost, and what follows it at once:
//   h = x * factor + offset (one rounding),  y = then(h)
// Backwards, g = dL/dy, e = dL/dh (g where `then` lets it through, else 0):
//   dx = factor * e + slope * (x - mean) + shift
// Nothing is read behind the arrays. Columns are independent and added up row after row, moments in
// four sums, row i in sum i mod 4. The same bits on every row of kernels.def as long as x is
// finite.

/// What follows, of which backward recomputes h.
struct BatchNormThen {
  enum class Kind { kNone, kClamp, kFakeQuantize };
  Kind kind = Kind::kNone;
  /// kClamp: y = min(max(h, lo), hi), a NaN stays one; e = g where least <= h <= most. A Relu's
  /// gradient at 0 is 0: its `least` is the smallest normal number.
  float lo = 0, hi = 0, least = 0, most = 0;
  /// kFakeQuantize: levels bottom..top times scale, as kernels/fake_quant_f32 says.
  float scale = 1;
  int bottom = 0, top = 255;
  FakeQuantSum sum = FakeQuantSum::kNone;
};

/// mean [cols], and squares [cols] = sum (x - mean)^2. rows > 0.
struct BatchNormMomentsArgs {
  int64_t rows = 0, cols = 0;
  const float* x = nullptr;
  float *mean = nullptr, *squares = nullptr;
};
struct BatchNormForwardArgs {
  int64_t rows = 0, cols = 0;
  const float *x = nullptr, *factor = nullptr, *offset = nullptr;
  float* y = nullptr;
  BatchNormThen then = {};
};
/// Sums down each column: of e, of e (x - mean), and what fake_quant_f32 adds up as s and z (null
/// where `then.sum` does not ask).
struct BatchNormSumsArgs {
  int64_t rows = 0, cols = 0;
  const float *g = nullptr, *x = nullptr, *factor = nullptr, *offset = nullptr, *mean = nullptr;
  float *e = nullptr, *ex = nullptr, *s = nullptr, *z = nullptr;
  BatchNormThen then = {};
};
struct BatchNormBackwardArgs {
  int64_t rows = 0, cols = 0;
  const float *g = nullptr, *x = nullptr, *factor = nullptr, *offset = nullptr, *mean = nullptr;
  const float *slope = nullptr, *shift = nullptr;
  float* dx = nullptr;
  BatchNormThen then = {};
};

struct BatchNormF32Functions {
  void (*moments)(const BatchNormMomentsArgs&);
  void (*forward)(const BatchNormForwardArgs&);
  void (*sums)(const BatchNormSumsArgs&);
  void (*backward)(const BatchNormBackwardArgs&);
};
struct BatchNormF32Kernel {
  RowInfo row;
  const BatchNormF32Functions* call;
};

std::span<const BatchNormF32Kernel> batch_norm_f32_kernels();
Choice<BatchNormF32Kernel> select_batch_norm_f32();

}  // namespace lapidary::kernels
