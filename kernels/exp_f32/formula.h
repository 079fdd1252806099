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

// |x| < 1: erf(x) = x + x P(x^2). Otherwise 1 - e^Q(|x|), Q ~ ln(erfc), where |x| > 4 counts as 4:
// erfc(4) = 1.5e-8 is below half a unit of 1. Minimax fits of this project (Lawson's iteration on
// Chebyshev nodes, 40 digits), highest power first; their own relative errors are 4e-11 and 3e-11.
struct ErfConstants {
  static constexpr float kSplit = 1.0f, kLast = 4.0f;
  static constexpr float kP[] = {-9.64151513e-06f, 1.12569476e-04f,  -8.48282885e-04f,
                                 5.22094546e-03f,  -2.68654004e-02f, 1.12837821e-01f,
                                 -3.76126379e-01f, 1.28379166e-01f};
  static constexpr float kQ[] = {-2.16976387e-05f, 4.41472919e-04f,  -4.20528604e-03f,
                                 2.52103414e-02f,  -1.08422101e-01f, -6.33216381e-01f,
                                 -1.12958026e+00f, 1.88467791e-04f};
};

// gelu(x) = x Phi(x), Phi(-a) = e^R(a), Phi(a) = 1 - e^R(a) for a >= 0. R ~ ln(erfc(a / sqrt 2) /
// 2) on [0, 6], a fit of this project (Lawson's iteration on Chebyshev nodes, error weighted by
// max(Phi(-a), 0.02)), highest power first; it falls on behind 6, so that e^R goes to 0.
// tanh gelu: x / (1 + e^-u), u = x (kTanhLinear + kTanhCube x^2) = 2 sqrt(2 / pi) (x + 0.044715
// x^3).
struct GeluConstants {
  static constexpr float kR[] = {-1.25696662e-08f, 4.05848198e-07f,  -5.58713964e-06f,
                                 4.14307651e-05f,  -1.54979774e-04f, -7.77419846e-05f,
                                 4.90551908e-03f,  -3.64066586e-02f, -3.18290263e-01f,
                                 -7.97886550e-01f, -6.93147123e-01f};
  static constexpr float kTanhLinear = 1.59576912f, kTanhCube = 7.13548163e-02f;
};

}  // namespace
}  // namespace lapidary::kernels
