#pragma once

#include "kernels/igemm/quads.h"

namespace lapidary::kernels {
namespace {

/// Four units, a float each, in a register.
template <>
struct UnitsF32<Neon> {
  using Vec = float32x4_t;
  using Units = float32x4_t;
  static constexpr int kUnits = 4;
  static constexpr int64_t kWeightBytes = 16;

  LAPIDARY_INLINE Units load_units(const char* p) {
    return vld1q_f32(reinterpret_cast<const float*>(p));
  }
  LAPIDARY_INLINE Units load_unit(const char* p) {
    return vld1q_dup_f32(reinterpret_cast<const float*>(p));
  }
  LAPIDARY_INLINE Vec load_weights(const char* p) { return load_units(p); }
  template <int U>
  LAPIDARY_INLINE Vec multiply(Vec acc, Units x, Vec w) {
    return vfmaq_laneq_f32(acc, w, x, U);
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void multiply_tile(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    multiply_segments<UnitsF32, MR, NV>(t, acc);
  }
};

}  // namespace
}  // namespace lapidary::kernels
