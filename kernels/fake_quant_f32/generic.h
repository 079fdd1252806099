#pragma once

#include "kernels/fake_quant_f32/fake_quant_f32.h"
#include "kernels/lane_sum.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct FakeQuantF32 {
  using F = typename V::F;
  static constexpr int64_t kParts = kSumLanes / V::kLanes;

  /// Quotients as kernels/quantize has them: two steps of Markstein where nothing can underflow.
  /// What lies outside [lo, hi] is brought to within 1 of it first, so that it still rounds to
  /// outside.
  template <bool kDivide>
  struct Levels {
    F scale, inverse, least, most, lo, hi;
    Levels(float s, int low, int high)
        : scale(V::set(s)),
          inverse(V::set(1.0f / s)),
          least(V::set(static_cast<float>(low - 1) * (kDivide ? 1.0f : s))),
          most(V::set(static_cast<float>(high + 1) * (kDivide ? 1.0f : s))),
          lo(V::set(static_cast<float>(low))),
          hi(V::set(static_cast<float>(high))) {}
    __attribute__((always_inline)) inline F quotient(F x) const {
      if constexpr (kDivide) return V::min(V::max(V::div(x, scale), least), most);
      x = V::min(V::max(x, least), most);
      const F minus = V::sub(V::set(0.0f), scale);
      F q = V::mul(x, inverse);
      q = V::fma(V::fma(q, minus, x), inverse, q);
      return V::fma(V::fma(q, minus, x), inverse, q);
    }
  };
  /// The same with levels in lanes.
  struct LaneLevels {
    F scale, lo, hi;
    __attribute__((always_inline)) inline F quotient(F x) const {
      const F one = V::set(1.0f);
      return V::min(V::max(V::div(x, scale), V::sub(lo, one)), V::add(hi, one));
    }
  };

  static void forward(const FakeQuantArgs& p) {
    if (plain(p.scale))
      forward_by(p, Levels<false>(p.scale, p.lo, p.hi));
    else
      forward_by(p, Levels<true>(p.scale, p.lo, p.hi));
  }

  static void backward(const FakeQuantBackwardArgs& p) {
    if (plain(p.scale))
      backward_by(p, Levels<false>(p.scale, p.lo, p.hi));
    else
      backward_by(p, Levels<true>(p.scale, p.lo, p.hi));
  }

  static void columns_forward(const FakeQuantColumnsArgs& p) {
    for (int64_t c = 0; c < p.cols; c += V::kLanes) {
      const int64_t n = p.cols - c;
      const LaneLevels levels = {part(p.scale + c, n, 1.0f), part(p.lo + c, n), part(p.hi + c, n)};
      for (int64_t r = 0; r < p.rows; ++r)
        put(p.y + r * p.cols + c, value(levels, part(p.x + r * p.cols + c, n)), n);
    }
  }

  static void columns_backward(const FakeQuantColumnsBackwardArgs& p) {
    by_sum(p.sum, [&](auto sum) {
      for (int64_t c = 0; c < p.cols; c += V::kLanes) {
        const int64_t n = p.cols - c;
        const LaneLevels levels = {part(p.scale + c, n, 1.0f), part(p.lo + c, n),
                                   part(p.hi + c, n)};
        F s = V::set(0.0f), z = V::set(0.0f);
        if (sum != FakeQuantSum::kNone) s = part(p.s + c, n);
        if (sum == FakeQuantSum::kScaleAndZero) z = part(p.z + c, n);
        for (int64_t r = 0; r < p.rows; ++r) {
          const int64_t at = r * p.cols + c;
          put(p.dx + at, step(sum, levels, part(p.g + at, n), part(p.x + at, n), s, z), n);
        }
        if (sum != FakeQuantSum::kNone) put(p.s + c, s, n);
        if (sum == FakeQuantSum::kScaleAndZero) put(p.z + c, z, n);
      }
    });
  }

  // -- of one vector, for others that quantize on the way

  template <FakeQuantSum kSum>
  struct Sum {
    constexpr operator FakeQuantSum() const { return kSum; }
  };
  template <class Body>
  LAPIDARY_INLINE void by_sum(FakeQuantSum sum, const Body& body) {
    switch (sum) {
      case FakeQuantSum::kNone:
        return body(Sum<FakeQuantSum::kNone>());
      case FakeQuantSum::kScale:
        return body(Sum<FakeQuantSum::kScale>());
      case FakeQuantSum::kScaleAndZero:
        return body(Sum<FakeQuantSum::kScaleAndZero>());
      case FakeQuantSum::kAbove:
        return body(Sum<FakeQuantSum::kAbove>());
    }
  }

  static bool plain(float scale) { return scale > 0x1p-60f && scale < 0x1p60f; }

  /// The first n of p, `otherwise` behind them.
  LAPIDARY_INLINE F part(const float* p, int64_t n, float otherwise = 0.0f) {
    if (n >= V::kLanes) return V::load(p);
    alignas(64) float lanes[V::kLanes];
    for (int64_t i = 0; i < V::kLanes; ++i) lanes[i] = i < n ? p[i] : otherwise;
    return V::load(lanes);
  }
  LAPIDARY_INLINE void put(float* p, F v, int64_t n) {
    if (n >= V::kLanes) return V::store(p, v);
    alignas(64) float lanes[V::kLanes];
    V::store(lanes, v);
    for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
  }

  template <class L>
  LAPIDARY_INLINE F value(const L& levels, F x) {
    const F r = V::to_float(V::to_int(levels.quotient(x)));
    return V::where_nan(x, x, V::mul(V::min(V::max(r, levels.lo), levels.hi), levels.scale));
  }

  /// dx; what the elements add to the sums.
  template <class S, class L>
  LAPIDARY_INLINE F step(S sum, const L& levels, F g, F x, F& s, F& z) {
    const F zero = V::set(0.0f);
    const F u = levels.quotient(x);
    const F r = V::to_float(V::to_int(u));
    const F below = V::sub(r, levels.lo), above = V::sub(levels.hi, r);  // negative outside
    const F dx = V::where_negative(below, zero, V::where_negative(above, zero, g));
    if constexpr (sum == FakeQuantSum::kScale || sum == FakeQuantSum::kScaleAndZero) {
      const F inside = V::where_negative(above, levels.hi, V::sub(r, u));
      s = V::add(s, V::mul(g, V::where_negative(below, levels.lo, inside)));
    }
    if constexpr (sum == FakeQuantSum::kScaleAndZero)
      z = V::add(z, V::where_negative(below, g, V::where_negative(above, g, zero)));
    if constexpr (sum == FakeQuantSum::kAbove) s = V::add(s, V::where_negative(above, g, zero));
    return dx;
  }

 private:
  template <class L>
  static void forward_by(const FakeQuantArgs& p, const L& levels) {
    int64_t i = 0;
    for (; i + V::kLanes <= p.count; i += V::kLanes)
      V::store(p.y + i, value(levels, V::load(p.x + i)));
    if (i < p.count) put(p.y + i, value(levels, part(p.x + i, p.count - i)), p.count - i);
  }

  template <class L>
  static void backward_by(const FakeQuantBackwardArgs& p, const L& levels) {
    by_sum(p.sum, [&](auto sum) {
      for (int64_t begin = 0, b = 0; begin < p.count; begin += kFakeQuantBlock, ++b) {
        const int64_t left = p.count - begin;
        F s[kParts], z[kParts];
        for (int64_t k = 0; k < kParts; ++k) s[k] = z[k] = V::set(0.0f);
        block(sum, p, levels, begin, left < kFakeQuantBlock ? left : kFakeQuantBlock, s, z);
        if constexpr (sum != FakeQuantSum::kNone) p.s[b] = total(s);
        if constexpr (sum == FakeQuantSum::kScaleAndZero) p.z[b] = total(z);
      }
    });
  }

  template <class S, class L>
  LAPIDARY_INLINE void block(S sum, const FakeQuantBackwardArgs& p, const L& levels, int64_t begin,
                             int64_t count, F* s, F* z) {
    const float *g = p.g + begin, *x = p.x + begin;
    float* dx = p.dx + begin;
    int64_t i = 0;
    for (; i + kSumLanes <= count; i += kSumLanes)
      for (int64_t k = 0; k < kParts; ++k) {
        const int64_t at = i + k * V::kLanes;
        V::store(dx + at, step(sum, levels, V::load(g + at), V::load(x + at), s[k], z[k]));
      }
    for (int64_t k = 0; i < count; ++k, i += V::kLanes) {
      const int64_t n = count - i;
      put(dx + i, step(sum, levels, part(g + i, n), part(x + i, n), s[k], z[k]), n);
    }
  }

  LAPIDARY_INLINE float total(F* parts) {
    for (int64_t half = kParts / 2; half > 0; half /= 2)
      for (int64_t k = 0; k < half; ++k) parts[k] = V::add(parts[k], parts[k + half]);
    return V::sum(parts[0]);
  }
};

}  // namespace
}  // namespace lapidary::kernels
