#include "kernels/conv_f32_winograd/conv_f32_winograd.h"

#include "kernels/conv_f32_winograd/pack.h"
#include "kernels/conv_f32_winograd/transform.h"
#include "kernels/families.h"
#include "kernels/scalar.h"
#include "kernels/work.h"
#include "src/base/fail.h"

namespace lapidary::kernels {

namespace {

struct OneLane {
  using F = float;
  static F set(float x) { return x; }
  static F add(F a, F b) { return a + b; }
  static F sub(F a, F b) { return a - b; }
  static F fma(F a, F b, F c) { return std::fma(a, b, c); }
};

/// One tile of one output channel after the other.
template <int M>
struct Scalar {
  static constexpr int kSide = M + 2, kPoints = kSide * kSide;

  static int64_t blocks(const ConvShape& s) { return s.out_c; }
  static size_t packed_bytes(const ConvShape& s) { return packed_winograd_bytes(s, M, 1); }
  static void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
    pack_winograd(s, w, M, 1, packed);
  }
  static size_t scratch_bytes(const ConvShape& s) {
    return static_cast<size_t>(kPoints * s.in_c) * sizeof(float);
  }

  /// to[point][c] = B^T x B
  static void read_tile(const ConvF32Args& p, const WinogradTile<M>& at, float* to) {
    const ConvShape& s = p.shape;
    for (int64_t c = 0; c < s.in_c; ++c) {
      float half[kSide][kSide];
      for (int j = 0; j < kSide; ++j) {
        float x[kSide];
        for (int i = 0; i < kSide; ++i) {
          const int64_t iy = at.iy + i, ix = at.ix + j;
          const bool outside = iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w;
          x[i] = outside ? 0.0f : p.x[((at.n * s.in_h + iy) * s.in_w + ix) * s.in_c + c];
        }
        transform_input<OneLane>(x);
        for (int i = 0; i < kSide; ++i) half[i][j] = x[i];
      }
      for (int i = 0; i < kSide; ++i) {
        transform_input<OneLane>(half[i]);
        for (int j = 0; j < kSide; ++j) to[(i * kSide + j) * s.in_c + c] = half[i][j];
      }
    }
  }

  /// y = A^T z A, z[point] = sum_c x[point][c] * u[point][c] in that order, each rounded once.
  static void filter_tile(const float* x, const float* u, int64_t in_c, float (&y)[M][M]) {
    float half[M][kSide];
    for (int j = 0; j < kSide; ++j) {
      float z[kSide] = {}, column[M];
      for (int i = 0; i < kSide; ++i) {
        const int64_t point = i * kSide + j;
        for (int64_t c = 0; c < in_c; ++c)
          z[i] = std::fma(x[point * in_c + c], u[point * in_c + c], z[i]);
      }
      transform_output<OneLane>(z, column);
      for (int i = 0; i < M; ++i) half[i][j] = column[i];
    }
    for (int i = 0; i < M; ++i) transform_output<OneLane>(half[i], y[i]);
  }

  static void run(const ConvF32Args& p) {
    const ConvShape& s = p.shape;
    const Span rows = rows_of(p.range, s), channels = blocks_of(p.range, s.out_c);
    if (rows.begin >= rows.end) return;
    const WinogradTiles<M> tiles(s);
    const int64_t y_stride = p.y_stride > 0 ? p.y_stride : s.out_c;
    const int64_t residual_stride = p.residual_stride > 0 ? p.residual_stride : s.out_c;
    const float* bias = static_cast<const float*>(p.packed);
    const float* filters = bias + s.out_c;
    float* x = static_cast<float*>(p.scratch);
    const int64_t end = tiles.first_of(s, rows.end - 1) + tiles.across;
    for (int64_t tile = tiles.first_of(s, rows.begin); tile < end; ++tile) {
      const WinogradTile<M> at(s, tiles, tile);
      read_tile(p, at, x);
      for (int64_t oc = channels.begin; oc < channels.end; ++oc) {
        float y[M][M];
        filter_tile(x, filters + oc * kPoints * s.in_c, s.in_c, y);
        for (int64_t i = 0; i < M && at.oy + i < s.out_h; ++i) {
          const int64_t row = at.n * s.out_h + at.oy + i;
          if (row < rows.begin || row >= rows.end) continue;
          for (int64_t j = 0; j < M && at.ox + j < s.out_w; ++j) {
            const int64_t pixel = row * s.out_w + at.ox + j;
            float value = y[i][j] + bias[oc];
            if (p.residual != nullptr) value += p.residual[pixel * residual_stride + oc];
            p.y[pixel * y_stride + oc] = activate(value, p.activation);
          }
        }
      }
    }
  }
};

}  // namespace

#define LAPIDARY_WINOGRAD2(isa, name, types, tile, tolerance) extern const ConvF32Functions name;
#define LAPIDARY_WINOGRAD4(isa, name, types, tile, tolerance) extern const ConvF32Functions name;
#include "kernels/conv_f32_winograd/kernels.def"
#undef LAPIDARY_WINOGRAD2
#undef LAPIDARY_WINOGRAD4

const ConvF32Functions conv_f32_winograd2_scalar = {
    Scalar<2>::packed_bytes, Scalar<2>::scratch_bytes, Scalar<2>::blocks,
    Scalar<2>::pack,         Scalar<2>::run,           /*lines=*/2};
const ConvF32Functions conv_f32_winograd4_scalar = {
    Scalar<4>::packed_bytes, Scalar<4>::scratch_bytes, Scalar<4>::blocks,
    Scalar<4>::pack,         Scalar<4>::run,           /*lines=*/4};

std::span<const ConvF32Kernel> conv_f32_winograd2_kernels() {
  static const ConvF32Kernel kKernels[] = {
#define LAPIDARY_WINOGRAD2(isa, name, types, tile, tolerance) \
  {{"conv_f32_winograd2", #name, Isa::isa, types, tile, tolerance}, &name},
#define LAPIDARY_WINOGRAD4(isa, name, types, tile, tolerance)
#include "kernels/conv_f32_winograd/kernels.def"
#undef LAPIDARY_WINOGRAD2
#undef LAPIDARY_WINOGRAD4
  };
  return kKernels;
}
std::vector<RowInfo> conv_f32_winograd2_rows() { return rows_of(conv_f32_winograd2_kernels()); }

std::span<const ConvF32Kernel> conv_f32_winograd4_kernels() {
  static const ConvF32Kernel kKernels[] = {
#define LAPIDARY_WINOGRAD2(isa, name, types, tile, tolerance)
#define LAPIDARY_WINOGRAD4(isa, name, types, tile, tolerance) \
  {{"conv_f32_winograd4", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/conv_f32_winograd/kernels.def"
#undef LAPIDARY_WINOGRAD2
#undef LAPIDARY_WINOGRAD4
  };
  return kKernels;
}
std::vector<RowInfo> conv_f32_winograd4_rows() { return rows_of(conv_f32_winograd4_kernels()); }

Choice<ConvF32Kernel> select_conv_f32_winograd(const ConvShape& shape, int64_t m) {
  LAPIDARY_CHECK(takes_winograd(shape) && (m == 2 || m == 4));
  return choose(m == 2 ? conv_f32_winograd2_kernels() : conv_f32_winograd4_kernels());
}

int64_t fastest_winograd(const ConvShape& s, int64_t most) {
  if (!takes_winograd(s)) return 0;
  // In multiply-accumulates for each pair of an input and an output channel, as measured on the
  // avx512 rows with weights that come from memory (docs/performance.md): what a transform costs
  // for each of its points, and reading a transformed weight; a plain one 8.
  struct Tile {
    int64_t m;
    double transform, weight;
  };
  double least = 9 * (static_cast<double>(s.out_h * s.out_w) + 8);
  int64_t fastest = 0;
  for (const auto& [m, transform, weight] : {Tile{2, 15, 20}, Tile{4, 18, 32}}) {
    if (m > most) break;
    const auto points = static_cast<double>((m + 2) * (m + 2));
    const auto tiles = static_cast<double>(ceil_div(s.out_h, m) * ceil_div(s.out_w, m));
    const double transforms =
        transform / static_cast<double>(s.in_c) + transform / static_cast<double>(s.out_c);
    const double cost = points * (tiles * (1 + transforms) + weight);
    if (cost >= least) continue;
    least = cost;
    fastest = m;
  }
  return fastest;
}

}  // namespace lapidary::kernels
