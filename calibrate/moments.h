#pragma once

#include <cstdint>
#include <vector>

#include "calibrate/feeder.h"
#include "lapidary/tensor.h"

namespace lapidary {

/// Mean and variance of the channels of a float32 value [N, C, ...] over samples and positions.
class Moments {
 public:
  /// Throws Error{kUnsupported} for other types, and where samples that fill up a batch cannot be
  /// told apart.
  void see(const Tensor& x, const BatchRows& batch, int threads);

  /// One number per channel, in this shape. Throws Error{kInvalid} where one is not finite.
  Tensor mean(const Shape& shape) const { return take(&Sums::mean, shape); }
  Tensor variance(const Shape& shape) const { return take(&Sums::variance, shape); }

 private:
  /// Sums of one channel's values less its first one, x0.
  struct Sums {
    double first = 0, sum = 0, squares = 0;
    int64_t count = 0;

    void add(const float* x, int64_t size);
    double mean() const { return first + sum / static_cast<double>(count); }
    /// E[(x - x0)^2] - E[x - x0]^2
    double variance() const;
  };
  Tensor take(double (Sums::*what)() const, const Shape& shape) const;

  std::vector<Sums> sums_;
};

}  // namespace lapidary
