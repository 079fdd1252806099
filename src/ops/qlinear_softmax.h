#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

namespace lapidary {

/// ONNX Runtime's QLinearSoftmax over rows of `length` (each step in float32 unless said):
///   power[i] = float(exp((i - 255 + shift) * x_scale)), shift = max(0, ln(FLT_MAX / length) - 5) /
///   x_scale,
///              in float64: e^(x - max) scaled so that no sum overflows
///   y = min(rint(power[q - max + 255] * floor(1 / y_scale) / sum) + y_zero, highest)
/// with max and the sum (added in order) over the row. The floor is ORT's: y_scale is 1/255 or
/// 1/256 in files that mean a softmax.
class SoftmaxTable {
 public:
  SoftmaxTable(float x_scale, float y_scale, int64_t length) : factor_(std::floor(1.0f / y_scale)) {
    const float limit = std::numeric_limits<float>::max() / static_cast<float>(length);
    const double shift = std::max(0.0, std::log(static_cast<double>(limit)) - 5.0) / x_scale;
    for (int i = 0; i < 256; ++i)
      power_[static_cast<size_t>(i)] =
          static_cast<float>(std::exp((i - 255 + shift) * static_cast<double>(x_scale)));
  }

  /// Elements of a row are `stride` apart; values of one byte, s8 as they are or all with 128
  /// added.
  template <class T>
  void row(const T* x, T* y, int64_t length, int64_t stride, int32_t y_zero,
           int32_t highest) const {
    int32_t best = x[0];
    for (int64_t i = 0; i < length; ++i) best = std::max<int32_t>(best, x[i * stride]);
    const auto power = [&](int64_t i) {
      return power_[static_cast<size_t>(x[i * stride] - best + 255)];
    };
    float sum = 0;
    for (int64_t i = 0; i < length; ++i) sum += power(i);
    for (int64_t i = 0; i < length; ++i) {
      const float v = std::nearbyint(power(i) * factor_ / sum) + static_cast<float>(y_zero);
      y[i * stride] = static_cast<T>(std::min(v, static_cast<float>(highest)));
    }
  }

 private:
  std::array<float, 256> power_;
  float factor_;
};

}  // namespace lapidary
