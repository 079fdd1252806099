#include "kernels/conv_f32_winograd/pack.h"

#include <cstring>

#include "kernels/conv_f32/weights.h"
#include "kernels/work.h"

namespace lapidary::kernels {

namespace {

/// G of F(2, 3) and of F(4, 3): rows for the points 0, 1, -1, (2, -2,) infinity.
constexpr double kG2[][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
constexpr double kG4[][3] = {{1. / 4, 0, 0},
                             {-1. / 6, -1. / 6, -1. / 6},
                             {-1. / 6, 1. / 6, -1. / 6},
                             {1. / 24, 1. / 12, 1. / 6},
                             {1. / 24, -1. / 12, 1. / 6},
                             {0, 0, 1}};

}  // namespace

size_t packed_winograd_bytes(const ConvShape& s, int64_t m, int64_t width) {
  const int64_t points = (m + 2) * (m + 2);
  return static_cast<size_t>(round_up(s.out_c, width) * (1 + points * s.in_c)) * sizeof(float);
}

void pack_winograd(const ConvShape& s, const ConvF32Weights& w, int64_t m, int64_t width,
                   void* packed) {
  std::memset(packed, 0, packed_winograd_bytes(s, m, width));
  float* to = static_cast<float*>(packed);
  const int64_t channels = round_up(s.out_c, width), side = m + 2;
  pack_f32_bias(s.out_c, 1, channels, w.bias, to);
  to += channels;
  const double(*g)[3] = m == 2 ? kG2 : kG4;
  const WeightF32Reader weight(s, w);
  for (int64_t oc = 0; oc < s.out_c; ++oc) {
    for (int64_t ic = 0; ic < s.in_c; ++ic) {
      double half[6][3];  // G w
      for (int64_t i = 0; i < side; ++i)
        for (int64_t kx = 0; kx < 3; ++kx)
          half[i][kx] = g[i][0] * weight(oc, ic, 0, kx) + g[i][1] * weight(oc, ic, 1, kx) +
                        g[i][2] * weight(oc, ic, 2, kx);
      for (int64_t i = 0; i < side; ++i)
        for (int64_t j = 0; j < side; ++j) {
          const int64_t at = (oc / width * side * side + i * side + j) * s.in_c + ic;
          to[at * width + oc % width] = static_cast<float>(
              half[i][0] * g[j][0] + half[i][1] * g[j][1] + half[i][2] * g[j][2]);
        }
    }
  }
}

}  // namespace lapidary::kernels
