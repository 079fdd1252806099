#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

namespace lapidary {

/// No noise at all would be infinite; float32 itself ends near this.
inline constexpr double kMaxSqnrDb = 150;

/// Sums over pairs of values, y as it should be and x as it is, from which SQNR and cosine follow.
class PairSums {
 public:
  /// Adds the pairs (y[i], x[i]); the lanes keep the additions apart, so that they overlap.
  void add(std::span<const float> y, std::span<const float> x) {
    size_t i = 0;
    for (; i + kLanes <= y.size(); i += kLanes)
      for (size_t lane = 0; lane < kLanes; ++lane) add(y[i + lane], x[i + lane], lane);
    for (size_t lane = 0; i < y.size(); ++i, ++lane) add(y[i], x[i], lane);
  }

  /// 10 log10(sum y^2 / sum (y - x)^2), at most kMaxSqnrDb; 0 where y is zero and x is not; NaN
  /// where a value of either is not finite.
  double sqnr_db() const {
    const double signal = total(yy_), noise = total(dd_);
    if (!std::isfinite(signal) || !std::isfinite(noise))
      return std::numeric_limits<double>::quiet_NaN();
    if (noise == 0) return kMaxSqnrDb;
    if (signal == 0) return 0;
    return std::min(kMaxSqnrDb, 10 * std::log10(signal / noise));
  }

  /// sum(y x) / sqrt(sum y^2 sum x^2); 1 where both are zero; NaN where a value is not finite.
  double cosine() const {
    const double yy = total(yy_), xx = total(xx_);
    if (!std::isfinite(yy) || !std::isfinite(xx)) return std::numeric_limits<double>::quiet_NaN();
    if (yy == 0 && xx == 0) return 1;
    return yy == 0 || xx == 0 ? 0 : total(yx_) / std::sqrt(yy * xx);
  }

 private:
  static constexpr size_t kLanes = 8;
  using Lanes = std::array<double, kLanes>;

  void add(float y_value, float x_value, size_t lane) {
    const auto y = static_cast<double>(y_value), x = static_cast<double>(x_value);
    yy_[lane] += y * y;
    xx_[lane] += x * x;
    yx_[lane] += y * x;
    dd_[lane] += (y - x) * (y - x);
  }
  static double total(const Lanes& lanes) {
    return std::accumulate(lanes.begin(), lanes.end(), 0.0);
  }

  Lanes yy_{}, xx_{}, yx_{}, dd_{};
};

/// Of two signals of one length (PairSums::sqnr_db, PairSums::cosine).
inline double sqnr_db(std::span<const float> y, std::span<const float> yq) {
  PairSums sums;
  sums.add(y, yq);
  return sums.sqnr_db();
}
inline double cosine(std::span<const float> a, std::span<const float> b) {
  PairSums sums;
  sums.add(a, b);
  return sums.cosine();
}

}  // namespace lapidary
