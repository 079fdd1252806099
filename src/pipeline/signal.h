#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace lapidary {

/// No noise at all would be infinite; float32 itself ends near this.
inline constexpr double kMaxSqnrDb = 150;

/// 10 log10(sum y^2 / sum (y - yq)^2), at most kMaxSqnrDb; 0 where y is zero and yq is not; NaN
/// where a value of either is not finite.
inline double sqnr_db(std::span<const float> y, std::span<const float> yq) {
  double signal = 0, noise = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const double d = static_cast<double>(y[i]) - yq[i];
    signal += static_cast<double>(y[i]) * y[i];
    noise += d * d;
  }
  if (!std::isfinite(signal) || !std::isfinite(noise))
    return std::numeric_limits<double>::quiet_NaN();
  if (noise == 0) return kMaxSqnrDb;
  if (signal == 0) return 0;
  return std::min(kMaxSqnrDb, 10 * std::log10(signal / noise));
}

/// sum(a b) / sqrt(sum a^2 sum b^2); 1 where both are zero; NaN where a value is not finite.
inline double cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  if (!std::isfinite(aa) || !std::isfinite(bb)) return std::numeric_limits<double>::quiet_NaN();
  if (aa == 0 && bb == 0) return 1;
  return aa == 0 || bb == 0 ? 0 : ab / std::sqrt(aa * bb);
}

}  // namespace lapidary
