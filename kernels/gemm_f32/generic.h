#pragma once

#include "kernels/conv_f32/generic.h"
#include "kernels/gemm_f32/pack.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct GemmTileF32 {
  const float* bias = nullptr;
  const float* residual = nullptr;
  float* y;
  int64_t residual_stride, y_stride;
  const ActivationF32& activation;

  explicit GemmTileF32(const IgemmTile& t)
      : GemmTileF32(t, *static_cast<const GemmF32Args*>(t.args)) {}
  GemmTileF32(const IgemmTile& t, const GemmF32Args& p)
      : residual_stride(p.ld_residual > 0 ? p.ld_residual : p.shape.n),
        y_stride(p.ldy > 0 ? p.ldy : p.shape.n),
        activation(p.activation) {
    if (p.bias != nullptr) bias = p.bias + t.channel;
    if (p.residual != nullptr) residual = p.residual + t.pixel * residual_stride + t.channel;
    y = p.y + t.pixel * y_stride + t.channel;
  }
};

/// Tiles of MR x kNV vectors; a panel of rows of A stays in cache while all of B passes.
template <class V>
struct GemmF32 {
  using Policy = PolicyF32<V, GemmTileF32<V>>;
  static constexpr int64_t kNV = V::kLanes == 4 ? 4 : 2;
  static constexpr int64_t kBlock = kNV * V::kLanes;

  static size_t packed_bytes(const GemmF32Shape& s) { return packed_b_bytes(s, kBlock); }
  static int64_t blocks(const GemmF32Shape& s) { return up_to(s.n, kBlock); }
  static void pack(const GemmF32Shape& s, const GemmF32B& b, void* packed) {
    pack_b(s, b, kBlock, packed);
  }
  static void run(const GemmF32Args& p) {
    const GemmF32Shape& s = p.shape;
    const int64_t m_end = p.m_end < 0 ? s.m : p.m_end;
    const int64_t block_end = p.block_end < 0 ? blocks(s) : p.block_end;
    const int64_t lda = p.lda > 0 ? p.lda : s.k, ldb = p.b.ld > 0 ? p.b.ld : s.n;
    const int64_t mr = tile_pixels(Policy::kTraits, kNV);
    const int64_t panel = up_to(at_least(1, kChunkBytes / (4 * at_least(1, s.k))), mr) * mr;
    IgemmTile t;
    t.a_pixel = lda * 4;
    t.units = s.k;
    t.args = &p;
    t.w_step = (p.packed_b != nullptr ? kBlock : ldb) * 4;
    for (int64_t m = p.m_begin; m < m_end; m += panel) {
      const IgemmChunk c = {.a = reinterpret_cast<const char*>(p.a + m * lda),
                            .a_pixel = t.a_pixel,
                            .rows = 1,
                            .pixels = at_most(panel, m_end - m),
                            .pixel = m};
      for (int64_t block = p.block_begin; block < block_end; ++block) {
        t.channel = block * kBlock;
        t.channels = at_most(kBlock, s.n - t.channel);
        t.w = reinterpret_cast<const char*>(
            p.packed_b != nullptr ? static_cast<const float*>(p.packed_b) + t.channel * s.k
                                  : p.b.data + t.channel);
        t.a = c.a;
        igemm_block<Policy>(t, c, kNV);
      }
    }
  }
};

}  // namespace
}  // namespace lapidary::kernels
