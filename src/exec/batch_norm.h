#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "lapidary/export.h"

namespace lapidary {

/// What a normalization is followed by, computed with it in one pass over memory.
struct AfterBatchNorm {
  enum class Kind { kNothing, kClamp, kFakeQuantize };
  Kind kind = Kind::kNothing;
  /// kClamp: min(max(h, lo), hi); the gradient passes where least <= h <= most.
  float lo = -std::numeric_limits<float>::infinity(), hi = -lo, least = lo, most = hi;
  /// kFakeQuantize by one scale for all, as src/exec/fake_quantize.h says.
  float scale = 1, zero_point = 0;
  int qmin = 0, qmax = 255;
  std::string_view gradient = "lsq";  ///< lsq | pact | ste
  float factor = 1;                   ///< gradient_scale
};

/// A BatchNormalization in training on x [rows, channels], channels innermost:
///   h = (x - mean) inverse scale + bias, y = then(h); every array but x and y is [channels].
struct BatchNorm {
  int64_t rows = 0, channels = 0;
  const float *mean = nullptr, *inverse = nullptr;  ///< 1 / sqrt(variance + epsilon)
  const float *scale = nullptr, *bias = nullptr;
  AfterBatchNorm then = {};
};

/// The mean and the biased variance of each channel; rows > 0. Float32 sums of fixed blocks,
/// put together in float64: the same for any number of threads.
LAPIDARY_API void batch_moments(int64_t rows, int64_t channels, const float* x, float* mean,
                                float* variance);

LAPIDARY_API void batch_norm(const BatchNorm& how, const float* x, float* y);

/// Where gradients go; null where they are not wanted.
struct BatchNormGradient {
  float* x = nullptr;                                 ///< always wanted
  float *scale = nullptr, *bias = nullptr;            ///< always wanted
  float *fake_scale = nullptr, *fake_zero = nullptr;  ///< one element each: of kFakeQuantize
};

/// g = dL/dy, e = dL/dh, n = (x - mean) inverse:
///   dscale = sum e n,  dbias = sum e,
///   dx = scale inverse (e - mean(e) - n mean(e n)) where mean and inverse are the batch's own
///   (`of_batch`), else scale inverse e
LAPIDARY_API void batch_norm_backward(const BatchNorm& how, bool of_batch, const float* g,
                                      const float* x, const BatchNormGradient& gradient);

}  // namespace lapidary
