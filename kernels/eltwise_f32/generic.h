#pragma once

#include "kernels/eltwise_f32/eltwise_f32.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct ActivationVectors {
  typename V::F slope, lo, hi;
  bool leaky;

  explicit ActivationVectors(const ActivationF32& p)
      : slope(V::set(p.slope)), lo(V::set(p.lo)), hi(V::set(p.hi)), leaky(p.slope != 1.0f) {}
  __attribute__((always_inline)) inline typename V::F operator()(typename V::F v) const {
    if (leaky) v = V::where_negative(v, V::mul(slope, v), v);
    return clamp(v);
  }
  __attribute__((always_inline)) inline typename V::F clamp(typename V::F v) const {
    return V::min(hi, V::max(lo, v));  // NaN is kept: it stands second
  }
};

template <class V, BinaryOp kOp>
LAPIDARY_INLINE typename V::F apply(typename V::F a, typename V::F b) {
  if constexpr (kOp == BinaryOp::kAdd) return V::add(a, b);
  if constexpr (kOp == BinaryOp::kSub) return V::sub(a, b);
  if constexpr (kOp == BinaryOp::kMul) return V::mul(a, b);
  if constexpr (kOp == BinaryOp::kDiv) return V::div(a, b);
  if constexpr (kOp == BinaryOp::kMin) return V::where_nan(a, a, V::min(a, b));
  if constexpr (kOp == BinaryOp::kMax) return V::where_nan(a, a, V::max(a, b));
  if constexpr (kOp == BinaryOp::kPRelu) return V::where_negative(a, V::mul(a, b), a);
}

template <class V>
LAPIDARY_INLINE typename V::F load_step(const float* p, int64_t step, int64_t i) {
  return step == 0 ? V::set(p[0]) : V::load(p + i);
}

template <class V, BinaryOp kOp>
void binary_rows(const BinaryF32Args& p) {
  const Grid& g = p.grid;
  const ActivationVectors<V> act(p.activation);
  const bool flat =
      g.a_step == 1 && g.b_step == 1 && g.a_row == g.cols && g.b_row == g.cols && g.y_row == g.cols;
  const int64_t rows = flat ? 1 : g.rows, cols = flat ? g.rows * g.cols : g.cols;
  for (int64_t r = 0; r < rows; ++r) {
    const float* a = p.a + r * g.a_row;
    const float* b = p.b + r * g.b_row;
    float* y = p.y + r * g.y_row;
    for (int64_t i = 0; i < cols; i += V::kLanes) {
      const auto v = apply<V, kOp>(load_step<V>(a, g.a_step, i), load_step<V>(b, g.b_step, i));
      V::store(y + i, act(v), cols - i);
    }
  }
}

template <class V>
struct EltwiseF32 {
  static void binary(const BinaryF32Args& p) {
    switch (p.op) {
      case BinaryOp::kAdd:
        return binary_rows<V, BinaryOp::kAdd>(p);
      case BinaryOp::kSub:
        return binary_rows<V, BinaryOp::kSub>(p);
      case BinaryOp::kMul:
        return binary_rows<V, BinaryOp::kMul>(p);
      case BinaryOp::kDiv:
        return binary_rows<V, BinaryOp::kDiv>(p);
      case BinaryOp::kMin:
        return binary_rows<V, BinaryOp::kMin>(p);
      case BinaryOp::kMax:
        return binary_rows<V, BinaryOp::kMax>(p);
      case BinaryOp::kPRelu:
        return binary_rows<V, BinaryOp::kPRelu>(p);
    }
  }
  static void unary(const UnaryF32Args& p) {
    const ActivationVectors<V> act(p.activation);
    for (int64_t i = 0; i < p.count; i += V::kLanes)
      V::store(p.y + i, act(V::load(p.x + i)), p.count - i);
  }
  static void hard_sigmoid(const HardSigmoidF32Args& p) {
    const auto alpha = V::set(p.alpha), beta = V::set(p.beta);
    const auto zero = V::set(0.0f), one = V::set(1.0f);
    for (int64_t i = 0; i < p.count; i += V::kLanes) {
      const auto x = V::load(p.x + i);
      auto h = V::min(one, V::max(zero, V::add(V::mul(alpha, x), beta)));
      if (p.times_x) h = V::mul(h, x);
      V::store(p.y + i, h, p.count - i);
    }
  }
  static void affine(const AffineF32Args& p) {
    const ActivationVectors<V> act(p.activation);
    for (int64_t r = 0; r < p.rows; ++r)
      for (int64_t c = 0; c < p.cols; c += V::kLanes) {
        const int64_t at = r * p.cols + c;
        const auto product = V::mul(load_step<V>(p.a, p.a_step, c), V::load(p.x + at));
        const auto v = V::add(product, load_step<V>(p.b, p.a_step, c));
        V::store(p.y + at, act(v), p.cols - c);
      }
  }
};

}  // namespace
}  // namespace lapidary::kernels
