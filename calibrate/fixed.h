#pragma once

#include <cmath>
#include <cstdint>

#include "src/base/fail.h"

namespace lapidary {

/// A sum of doubles in units of 2^-56, 128 bits wide: addition is exact, so that sums of any order
/// and grouping agree to the bit. Terms of kLimit and beyond throw Error{kInvalid}; 2^23 of the
/// largest fit.
class FixedSum {
  __extension__ using Wide = __int128;

 public:
  static constexpr double kLimit = 0x1p48;

  void add(double term) {
    if (!(std::fabs(term) < kLimit))
      fail_invalid(
          "its values sum to {}, beyond what can be accumulated (2^48): scale the input, or leave "
          "such samples out (`allow_nonfinite`, --allow-nonfinite)",
          term);
    units_ += static_cast<Wide>(std::nearbyint(term * 0x1p56));
  }
  void add(const FixedSum& other) { units_ += other.units_; }
  double value() const { return static_cast<double>(units_) * 0x1p-56; }

  uint64_t low_bits() const { return static_cast<uint64_t>(units_); }
  int64_t high_bits() const { return static_cast<int64_t>(units_ >> 64); }
  static FixedSum from_bits(uint64_t low, int64_t high) {
    FixedSum sum;
    sum.units_ = (static_cast<Wide>(high) * (static_cast<Wide>(1) << 64)) + static_cast<Wide>(low);
    return sum;
  }
  bool operator==(const FixedSum&) const = default;

 private:
  Wide units_ = 0;
};

}  // namespace lapidary
