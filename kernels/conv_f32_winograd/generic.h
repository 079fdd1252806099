#pragma once

#include "kernels/conv_f32/generic.h"
#include "kernels/conv_f32_winograd/pack.h"
#include "kernels/conv_f32_winograd/transform.h"

namespace lapidary::kernels {
namespace {

/// Where the products of one point go: [tiles][width].
struct WinogradProducts {
  float* to;
  int64_t width;
};

/// Plain products, a "pixel" of igemm being a tile.
template <class V>
struct WinogradPolicy : PolicyF32<V, ConvTileF32<V>> {
  using Vec = typename V::F;

  template <int MR, int NV>
  LAPIDARY_INLINE void start(const IgemmTile&, Vec (&acc)[MR][NV]) {
#pragma GCC unroll 14
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[m][v] = V::set(0.0f);
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void finish(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    const auto* products = static_cast<const WinogradProducts*>(t.args);
    float* to = products->to + t.pixel * products->width;
#pragma GCC unroll 14
    for (int m = 0; m < MR; ++m, to += products->width)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) V::store(to + v * V::kLanes, acc[m][v]);
  }
};

/// Transformed input of the tiles of a chunk: [point][tile][in_c]; then, a block of output channels
/// after the other, products [point][tile][width], and from them the outputs.
template <class V, int M>
struct ConvF32Winograd {
  using Policy = WinogradPolicy<V>;
  using F = typename V::F;
  static constexpr int kSide = M + 2;
  static constexpr int kPoints = kSide * kSide;
  static constexpr int kMostNV = V::kLanes == 4 ? 4 : 2;
  /// Of transformed input, so that it and a block's weights and products stay in a cache of 1 MiB;
  /// but a chunk has tiles enough that reading all weights for it costs less than multiplying.
  static constexpr int64_t kInputBytes = 448 * 1024;
  static constexpr int64_t kLeastTiles = 56;

  struct Plan {
    int64_t nv, width, blocks;
    int64_t tiles;                ///< of a chunk, at most
    int64_t pixel;                ///< floats between tiles of transformed input
    int64_t in_point, out_point;  ///< floats between points
    explicit Plan(const ConvShape& s)
        : nv(s.out_c <= V::kLanes ? 1 : kMostNV),
          width(nv * V::kLanes),
          blocks(up_to(s.out_c, width)) {
      pixel = up_to(s.in_c, V::kLanes) * V::kLanes;
      if (pixel % 256 == 0) pixel += 16;  // or all pixels would share a few sets of the cache
      const int64_t mr = tile_pixels(Policy::kTraits, nv);
      tiles = at_least(kLeastTiles, kInputBytes / (kPoints * pixel * 4)) / mr * mr;
      tiles = at_most(tiles, WinogradTiles<M>(s).count(s));
      in_point = tiles * pixel + 16;
      out_point = tiles * width + 16;
    }
  };

  static size_t packed_bytes(const ConvShape& s) {
    return packed_winograd_bytes(s, M, Plan(s).width);
  }
  static size_t scratch_bytes(const ConvShape& s) {
    const Plan p(s);
    return static_cast<size_t>(kPoints * (p.in_point + p.out_point) * 4 + 64);
  }
  static int64_t blocks(const ConvShape& s) { return Plan(s).blocks; }
  static void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
    pack_winograd(s, w, M, Plan(s).width, packed);
  }

  static void run(const ConvF32Args& args) {
    const ConvShape& s = args.shape;
    const Plan plan(s);
    const WinogradTiles<M> tiles(s);
    const Rows rows = {args.range.row_begin,
                       args.range.row_end < 0 ? s.batch * s.out_h : args.range.row_end};
    const int64_t block_end = args.range.block_end < 0 ? plan.blocks : args.range.block_end;
    if (rows.begin >= rows.end) return;
    float* input = static_cast<float*>(args.scratch);
    float* products = input + kPoints * plan.in_point;
    const int64_t first = tiles.first_of(s, rows.begin);
    const int64_t end = tiles.first_of(s, rows.end - 1) + tiles.across;
    const int64_t chunk = up_to(end - first, up_to(end - first, plan.tiles));
    for (int64_t tile = first; tile < end; tile += chunk) {
      const int64_t count = at_most(chunk, end - tile);
      for (int64_t t = 0; t < count; ++t) {
        const WinogradTile<M> at(s, tiles, tile + t);
        const bool inside =
            at.iy >= 0 && at.ix >= 0 && at.iy + kSide <= s.in_h && at.ix + kSide <= s.in_w;
        if (inside)
          read_tile<false>(args, plan, at, input + t * plan.pixel);
        else
          read_tile<true>(args, plan, at, input + t * plan.pixel);
      }
      for (int64_t block = args.range.block_begin; block < block_end; ++block) {
        multiply(args, plan, block, count, input, products);
        for (int64_t t = 0; t < count; ++t)
          for (int64_t v = 0; v < plan.nv; ++v) {
            const int64_t c = block * plan.width + v * V::kLanes;
            if (c < s.out_c)
              write_tile(args, plan, rows, WinogradTile<M>(s, tiles, tile + t), c,
                         products + t * plan.width + v * V::kLanes);
          }
      }
    }
  }

 private:
  struct Rows {
    int64_t begin, end;
  };

  /// B^T x B of all input channels.
  template <bool kEdge>
  static void read_tile(const ConvF32Args& args, const Plan& plan, const WinogradTile<M>& at,
                        float* to) {
    const ConvShape& s = args.shape;
    const int64_t line = s.in_w * s.in_c;
    for (int64_t c = 0; c < s.in_c; c += V::kLanes) {
      F half[kSide][kSide];  // B^T x
#pragma GCC unroll 1
      for (int j = 0; j < kSide; ++j) {
        F x[kSide];
        const int64_t ix = at.ix + j;
#pragma GCC unroll 6
        for (int i = 0; i < kSide; ++i) {
          const int64_t iy = at.iy + i;
          const bool outside = kEdge && (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w);
          x[i] = outside ? V::set(0.0f)
                         : V::load(args.x + (at.n * s.in_h + iy) * line + ix * s.in_c + c);
        }
        transform_input<V>(x);
#pragma GCC unroll 6
        for (int i = 0; i < kSide; ++i) half[i][j] = x[i];
      }
#pragma GCC unroll 1
      for (int i = 0; i < kSide; ++i) {
        F x[kSide];
#pragma GCC unroll 6
        for (int j = 0; j < kSide; ++j) x[j] = half[i][j];
        transform_input<V>(x);
#pragma GCC unroll 6
        for (int j = 0; j < kSide; ++j) V::store(to + (i * kSide + j) * plan.in_point + c, x[j]);
      }
    }
  }

  static void multiply(const ConvF32Args& args, const Plan& plan, int64_t block, int64_t count,
                       const float* input, float* products) {
    const ConvShape& s = args.shape;
    const int64_t point_bytes = s.in_c * plan.width * 4;
    const char* weights = static_cast<const char*>(args.packed) + plan.blocks * plan.width * 4 +
                          block * kPoints * point_bytes;
    IgemmPlan ahead;
    ahead.block_bytes = point_bytes;
    const int64_t mr = tile_pixels(Policy::kTraits, plan.nv);
    for (int64_t point = 0; point < kPoints; ++point) {
      const WinogradProducts out = {products + point * plan.out_point, plan.width};
      const IgemmChunk c = {.a = reinterpret_cast<const char*>(input + point * plan.in_point),
                            .a_pixel = plan.pixel * 4,
                            .rows = 1,
                            .pixels = count};
      IgemmTile t;
      t.a = c.a;
      t.a_pixel = c.a_pixel;
      t.units = s.in_c;
      t.w = weights + point * point_bytes;
      t.w_step = plan.width * 4;
      t.channels = plan.width;
      t.args = &out;
      look_ahead(ahead, tile_count(c, mr), true, t);
      if (plan.nv == 1)
        igemm_vectors<Policy, 1>(t, c);
      else
        igemm_vectors<Policy, kMostNV>(t, c);
    }
  }

  /// activation(A^T z A + bias + residual) of a vector of channels from c on, of the outputs that
  /// lie in the image and in `rows`.
  static void write_tile(const ConvF32Args& args, const Plan& plan, const Rows& rows,
                         const WinogradTile<M>& at, int64_t c, const float* products) {
    const ConvShape& s = args.shape;
    F half[M][kSide];  // A^T z
#pragma GCC unroll 1
    for (int j = 0; j < kSide; ++j) {
      F z[kSide], y[M];
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) z[i] = V::load(products + (i * kSide + j) * plan.out_point);
      transform_output<V>(z, y);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) half[i][j] = y[i];
    }
    const ActivationVectors<V> act(args.activation);
    const F bias = V::load(static_cast<const float*>(args.packed) + c);
    const int64_t y_stride = args.y_stride > 0 ? args.y_stride : s.out_c;
    const int64_t residual_stride = args.residual_stride > 0 ? args.residual_stride : s.out_c;
    const int64_t channels = s.out_c - c, columns = at_most(M, s.out_w - at.ox);
    for (int64_t i = 0; i < at_most(M, s.out_h - at.oy); ++i) {
      const int64_t row = at.n * s.out_h + at.oy + i;
      if (row < rows.begin || row >= rows.end) continue;
      F y[M];
      transform_output<V>(half[i], y);
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t pixel = row * s.out_w + at.ox + j;
        F value = V::add(y[j], bias);
        if (args.residual != nullptr)
          value = V::add(value, V::load(args.residual + pixel * residual_stride + c));
        V::store(args.y + pixel * y_stride + c, act(value), channels);
      }
    }
  }
};

}  // namespace
}  // namespace lapidary::kernels
