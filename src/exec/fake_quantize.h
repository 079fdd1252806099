#pragma once

#include <cstdint>
#include <string_view>

#include "lapidary/export.h"

namespace lapidary {

/// A node ai.lapidary.FakeQuantize on memory: x is seen as [outer, slices, inner], one scale and
/// zero point per slice; slices = 1 without `axis`. Nothing is read behind the arrays.
struct FakeQuantize {
  int64_t outer = 1, slices = 1, inner = 0;
  const float* scale = nullptr;       ///< [slices]
  const float* zero_point = nullptr;  ///< [slices]; null: 0
  int qmin = 0, qmax = 255;
};

/// y = (clamp(rint(x / s) + z, qmin, qmax) - z) * s, the bits of the op's reference evaluation.
LAPIDARY_API void fake_quantize(const FakeQuantize& how, const float* x, float* y);

/// What the op says of its gradient, and where that goes; null where it is not wanted.
struct FakeQuantizeGradient {
  std::string_view kind = "lsq";  ///< lsq | pact | ste
  float factor = 1;               ///< gradient_scale: of `scale` and `zero_point`
  float* x = nullptr;             ///< dL/dx, as large as x; always wanted
  float* scale = nullptr;         ///< dL/ds [slices]; ste: zeros
  float* zero_point = nullptr;    ///< dL/dz [slices]; but for lsq: zeros
};

/// g = dL/dy. With u = x / s, r = rint(u), i = r + z:
///   dL/dx = g where qmin <= i <= qmax, else 0
///   lsq   dL/ds = factor sum g (r - u inside, qmin - z below, qmax - z above)
///         dL/dz = -factor s sum g outside
///   pact  dL/ds = factor (qmax - z) sum g above; z = 0: alpha = qmax s, dL/dalpha = sum g above
/// Float32 sums of fixed blocks, added up in float64: the same for any number of threads.
LAPIDARY_API void fake_quantize_backward(const FakeQuantize& how, const float* g, const float* x,
                                         const FakeQuantizeGradient& gradient);

}  // namespace lapidary
