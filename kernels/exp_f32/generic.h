#pragma once

#include "kernels/exp_f32/exp_f32.h"
#include "kernels/exp_f32/formula.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

template <class V>
LAPIDARY_INLINE typename V::F exp_vector(typename V::F x) {
  using C = ExpConstants;
  using F = typename V::F;
  const F v = V::min(V::max(x, V::set(C::kLow)), V::set(C::kHigh));
  const auto n = V::to_int(V::mul(v, V::set(C::kLog2e)));
  const F whole = V::to_float(n);
  const F r =
      V::sub(V::sub(v, V::mul(whole, V::set(C::kLn2High))), V::mul(whole, V::set(C::kLn2Low)));
  F p = V::set(C::kP[0]);
  for (int i = 1; i < 6; ++i) p = V::add(V::mul(p, r), V::set(C::kP[i]));
  const F e = V::add(V::add(V::mul(p, V::mul(r, r)), r), V::set(1.0f));
  // 2^(n-1) by its exponent bits, then once more 2: n reaches 128.
  const auto bits = V::mul(V::add(n, V::set(126)), V::set(1 << 23));
  F y = V::mul(V::mul(e, reinterpret_cast<F>(bits)), V::set(2.0f));
  y = V::where_negative(V::sub(x, V::set(C::kLow)), V::set(0.0f), y);
  y = V::where_negative(V::sub(V::set(C::kHigh), x), V::set(C::kInfinity), y);
  return V::where_nan(x, x, y);
}

/// For x <= 0 and NaN.
template <class V>
LAPIDARY_INLINE typename V::F exp_of_negative_vector(typename V::F x) {
  using C = ExpConstants;
  using F = typename V::F;
  const F low = V::set(C::kLow);
  const F v = V::max(low, x);  // NaN is kept: it stands second
  const auto n = V::to_int(V::mul(v, V::set(C::kLog2e)));
  const F whole = V::to_float(n);
  const F r = V::fma(whole, V::set(-C::kLn2Low), V::fma(whole, V::set(-C::kLn2High), v));
  F p = V::set(C::kP[0]);
  for (int i = 1; i < 6; ++i) p = V::fma(p, r, V::set(C::kP[i]));
  const F e = V::add(V::fma(p, V::mul(r, r), r), V::set(1.0f));
  return V::where_negative(V::sub(x, low), V::set(0.0f), V::times_power(e, n));
}

template <class V>
LAPIDARY_INLINE typename V::F polynomial(const float (&c)[8], typename V::F x) {
  typename V::F p = V::set(c[0]);
  for (int i = 1; i < 8; ++i) p = V::add(V::mul(p, x), V::set(c[i]));
  return p;
}

template <class V>
LAPIDARY_INLINE typename V::F erf_vector(typename V::F x) {
  using C = ErfConstants;
  using F = typename V::F;
  const F zero = V::set(0.0f), one = V::set(1.0f);
  const F a = V::max(V::sub(zero, x), x);
  const F near = V::add(V::mul(x, polynomial<V>(C::kP, V::mul(x, x))), x);
  const F tail = exp_vector<V>(polynomial<V>(C::kQ, V::min(a, V::set(C::kLast))));
  const F rest = V::sub(one, tail);
  const F far = V::where_negative(x, V::sub(zero, rest), rest);
  return V::where_nan(x, x, V::where_negative(V::sub(a, V::set(C::kSplit)), near, far));
}

template <class V>
LAPIDARY_INLINE typename V::F logistic_vector(typename V::F x) {
  const auto one = V::set(1.0f);
  return V::div(one, V::add(one, exp_vector<V>(V::sub(V::set(0.0f), x))));
}

template <class V>
LAPIDARY_INLINE typename V::F gelu_vector(typename V::F x) {
  using F = typename V::F;
  const F a = V::max(V::sub(V::set(0.0f), x), x);
  F r = V::set(GeluConstants::kR[0]);
  for (int i = 1; i < 11; ++i) r = V::fma(r, a, V::set(GeluConstants::kR[i]));
  const F tail = exp_of_negative_vector<V>(r);
  return V::mul(x, V::where_negative(x, tail, V::sub(V::set(1.0f), tail)));
}

template <class V>
LAPIDARY_INLINE typename V::F tanh_gelu_vector(typename V::F x) {
  using C = GeluConstants;
  const auto gate = V::fma(V::mul(x, x), V::set(C::kTanhCube), V::set(C::kTanhLinear));
  return V::mul(x, logistic_vector<V>(V::mul(x, gate)));
}

template <class V, class Value>
LAPIDARY_INLINE void map_vectors(const ExpF32Args& p, Value value) {
  int64_t i = 0;
  for (; i + V::kLanes <= p.count; i += V::kLanes) V::store(p.y + i, value(V::load(p.x + i)));
  if (i < p.count) V::store(p.y + i, value(V::load(p.x + i)), p.count - i);
}

template <class V>
struct ExpF32 {
  using F = typename V::F;

  static void exp(const ExpF32Args& p) {
    const F shift = V::set(p.shift);
    map_vectors<V>(p, [shift](F x) { return exp_vector<V>(V::sub(x, shift)); });
  }
  static void sigmoid(const ExpF32Args& p) {
    map_vectors<V>(p, [](F x) { return logistic_vector<V>(x); });
  }
  static void silu(const ExpF32Args& p) {
    map_vectors<V>(p, [](F x) { return V::mul(x, logistic_vector<V>(x)); });
  }
  static void erf(const ExpF32Args& p) {
    map_vectors<V>(p, [](F x) { return erf_vector<V>(x); });
  }
  static void gelu(const ExpF32Args& p) {
    map_vectors<V>(p, [](F x) { return gelu_vector<V>(x); });
  }
  static void tanh_gelu(const ExpF32Args& p) {
    map_vectors<V>(p, [](F x) { return tanh_gelu_vector<V>(x); });
  }
};

}  // namespace
}  // namespace lapidary::kernels
