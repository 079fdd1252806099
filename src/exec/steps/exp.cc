#include "src/exec/steps/exp.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace lapidary::exec {

namespace {

// Fixed trip counts let the compiler vectorise at -O2.
constexpr int64_t kLanes = 16;

// e^x = 2^n e^r, n = rint(x / ln 2), |r| <= ln 2 / 2; ln 2 in two parts so that r is exact; e^r by
// the minimax polynomial of Cephes' expf (S. Moshier).
inline float exp_one(float x) {
  constexpr float kLog2e = 1.44269504088896341f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  constexpr float kHigh = 88.7228394f, kLow = -87.3365448f;
  const float v = std::min(std::max(kLow, x), kHigh);  // NaN becomes kLow
  const float n = (v * kLog2e + kRound) - kRound;
  const float r = (v - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float e = (p * (r * r) + r) + 1.0f;
  // 2^n in two factors: n reaches 128.
  const int whole = static_cast<int>(n), half = whole >> 1;
  const float scale = std::bit_cast<float>((half + 127) << 23);
  const float rest = std::bit_cast<float>((whole - half + 127) << 23);
  float y = e * scale * rest;
  y = x < kLow ? 0.0f : y;
  y = x > kHigh ? std::numeric_limits<float>::infinity() : y;
  return x != x ? x : y;
}

template <class F>
inline void in_lanes(const float* x, float* y, int64_t count, F f) {
  int64_t i = 0;
  float in[kLanes], out[kLanes];
  for (; i + kLanes <= count; i += kLanes) {
    std::memcpy(in, x + i, sizeof in);
    for (int64_t l = 0; l < kLanes; ++l) out[l] = f(in[l]);
    std::memcpy(y + i, out, sizeof out);
  }
  for (; i < count; ++i) y[i] = f(x[i]);
}

}  // namespace

void exp(const float* x, float* y, int64_t count) { in_lanes(x, y, count, exp_one); }

void sigmoid(const float* x, float* y, int64_t count) {
  in_lanes(x, y, count, [](float v) { return 1.0f / (1.0f + exp_one(-v)); });
}

void silu(const float* x, float* y, int64_t count) {
  in_lanes(x, y, count, [](float v) { return v * (1.0f / (1.0f + exp_one(-v))); });
}

float exp_minus(const float* x, float shift, float* y, int64_t count) {
  in_lanes(x, y, count, [shift](float v) { return exp_one(v - shift); });
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += y[i + l];
  float sum = 0;
  for (; i < count; ++i) sum += y[i];
  for (int64_t l = 0; l < kLanes; ++l) sum += lanes[l];
  return sum;
}

}  // namespace lapidary::exec
