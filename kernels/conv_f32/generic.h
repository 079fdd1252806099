#pragma once

#include "kernels/conv_f32/weights.h"
#include "kernels/eltwise_f32/generic.h"
#include "kernels/igemm/run.h"

namespace lapidary::kernels {
namespace {

/// What igemm/quads.h asks for, where V multiplies by single lanes.
template <class V>
struct UnitsF32 {};

}  // namespace
}  // namespace lapidary::kernels

#if defined(__aarch64__)
#include "kernels/conv_f32/neon.h"
#endif

namespace lapidary::kernels {
namespace {

/// One float a unit; `Tile` says where bias, residual and result are.
template <class V, class Tile>
struct PolicyF32 : UnitsF32<V> {
  using Vec = typename V::F;
  using Source = float;
  using Element = float;
  static constexpr IgemmTraits kTraits = {.lanes = V::kLanes,
                                          .registers = V::kLanes == 8 ? 16 : 32,
                                          .unit = 1,
                                          .source_bytes = 4,
                                          .element_bytes = 4};
  LAPIDARY_INLINE Vec load(const char* p) { return V::load(reinterpret_cast<const float*>(p)); }
  LAPIDARY_INLINE Vec broadcast(const char* p) {
    return V::set(*reinterpret_cast<const float*>(p));
  }
  LAPIDARY_INLINE Vec dot(Vec acc, Vec x, Vec w) { return V::fma(x, w, acc); }

  template <int MR, int NV>
  LAPIDARY_INLINE void start(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    const float* bias = Tile(t).bias;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      const auto b = bias != nullptr ? V::load(bias + v * V::kLanes) : V::set(0.0f);
#pragma GCC unroll 14
      for (int m = 0; m < MR; ++m) acc[m][v] = b;
    }
  }
  /// Whole vectors that are only clamped go from registers to y; the others through memory, so that
  /// one copy of what follows serves every MR.
  template <int MR, int NV>
  LAPIDARY_INLINE void finish(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    const Tile tile(t);
    const ActivationVectors<V> act(tile.activation);
    if (t.channels == NV * V::kLanes && tile.residual == nullptr && !act.leaky) {
      float* y = tile.y;
#pragma GCC unroll 14
      for (int m = 0; m < MR; ++m, y += tile.y_stride)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) V::store(y + v * V::kLanes, act.clamp(acc[m][v]));
      return;
    }
    alignas(64) float sums[MR * NV * V::kLanes];
#pragma GCC unroll 14
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) V::store(sums + (m * NV + v) * V::kLanes, acc[m][v]);
    finish_sums<NV>(t, MR, sums);
  }
  template <int NV>
  __attribute__((noinline)) static void finish_sums(const IgemmTile& t, int64_t pixels,
                                                    const float* sums) {
    const Tile tile(t);
    const ActivationVectors<V> act(tile.activation);
    const bool whole = t.channels == NV * V::kLanes;
    const float* residual = tile.residual;
    float* y = tile.y;
    for (int64_t m = 0; m < pixels; ++m, y += tile.y_stride) {
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v, sums += V::kLanes) {
        auto value = V::load(sums);
        if (residual != nullptr) value = V::add(value, V::load(residual + v * V::kLanes));
        if (whole)
          V::store(y + v * V::kLanes, act(value));
        else
          V::store(y + v * V::kLanes, act(value), t.channels - v * V::kLanes);
      }
      if (residual != nullptr) residual += tile.residual_stride;
    }
  }

  static void convert(float* to, const float* from, int64_t count) {
    memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
  }
  static void fill(float* to, float value, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = value;
  }
};

template <class V>
struct ConvTileF32 {
  const float* bias;
  const float* residual;
  float* y;
  int64_t residual_stride, y_stride;
  const ActivationF32& activation;

  explicit ConvTileF32(const IgemmTile& t)
      : ConvTileF32(t, *static_cast<const ConvF32Args*>(t.args)) {}
  ConvTileF32(const IgemmTile& t, const ConvF32Args& p)
      : bias(static_cast<const float*>(p.packed) + t.at),
        residual(nullptr),
        residual_stride(p.residual_stride > 0 ? p.residual_stride : p.shape.out_c),
        y_stride(p.y_stride > 0 ? p.y_stride : p.shape.out_c),
        activation(p.activation) {
    if (p.residual != nullptr) residual = p.residual + t.pixel * residual_stride + t.channel;
    y = p.y + t.pixel * y_stride + t.channel;
  }
};

template <class P>
struct ConvF32 {
  static size_t packed_bytes(const ConvShape& s) { return packed_f32_igemm_bytes(s, P::kTraits); }
  static size_t scratch_bytes(const ConvShape& s) { return igemm_scratch_bytes(s, P::kTraits); }
  static int64_t blocks(const ConvShape& s) {
    return s.groups * igemm_plan(s, P::kTraits).group_blocks;
  }
  static void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
    pack_f32_igemm(s, w, P::kTraits, packed);
  }
  static void run(const ConvF32Args& p) {
    const int64_t bias_count = p.shape.groups * igemm_plan(p.shape, P::kTraits).group_stride;
    const IgemmOperands operands = {
        .x = p.x,
        .weights = reinterpret_cast<const char*>(static_cast<const float*>(p.packed) + bias_count),
        .scratch = p.scratch,
        .args = &p};
    run_igemm<P>(p.shape, p.range, operands, 0.0f);
  }
};

}  // namespace
}  // namespace lapidary::kernels
