#pragma once

#include <limits>

// e^v = 2^n e^r, n = rint(v / ln 2), |r| <= ln 2 / 2; ln 2 in two parts so that n * kLn2High is
// exact; e^r by the minimax polynomial of Cephes' expf (S. Moshier), from r^7 down to r^2.
namespace lapidary::kernels {
namespace {

struct ExpConstants {
  static constexpr float kLow = -86.6f;        ///< n >= -125: 2^(n - 1) is normal
  static constexpr float kHigh = 88.7228394f;  ///< ln of the largest float
  static constexpr float kLog2e = 1.44269504088896341f;
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  static constexpr float kP[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
};

}  // namespace
}  // namespace lapidary::kernels
