#pragma once

#include <cmath>

#include "kernels/lane_sum.h"
#include "kernels/norm_f32/norm_f32.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct NormF32 {
  using F = typename V::F;
  using I = typename V::I;

  static void normalize(const NormF32Args& p) {
    if (p.x_bytes != nullptr)
      p.y_bytes != nullptr ? rows<true, true>(p) : rows<true, false>(p);
    else
      p.y_bytes != nullptr ? rows<false, true>(p) : rows<false, false>(p);
  }

 private:
  template <bool kBytesIn, bool kBytesOut>
  static void rows(const NormF32Args& p) {
    const F x_scale = V::set(p.x_scale), y_scale = V::set(p.y_scale);
    const F lo = V::set(static_cast<float>(0 - p.y_zero));
    const F hi = V::set(static_cast<float>(255 - p.y_zero));
    const I x_zero = V::set(p.x_zero), y_zero = V::set(p.y_zero);
    const float count = static_cast<float>(p.cols);
    for (int64_t r = 0; r < p.rows; ++r) {
      const int64_t at = r * p.cols;
      const auto x = [&](int64_t i) {
        if constexpr (kBytesIn)
          return V::mul(V::to_float(V::sub(V::load_u8(p.x_bytes + at + i), x_zero)), x_scale);
        else
          return V::load(p.x + at + i);
      };
      const auto value = [&](int64_t i, auto) { return x(i); };
      const F mean = V::set(p.centred ? vector_sum<V>(p.cols, value) / count : 0.0f);
      const float squares = vector_sum<V>(p.cols, [&](int64_t i, auto) {
        const F d = V::sub(x(i), mean);
        return V::mul(d, d);
      });
      const F inverse = V::set(1.0f / std::sqrt(squares / count + p.epsilon));
      each_vector<V>(p.cols, [&](int64_t i, auto n) {
        F v = V::mul(V::sub(x(i), mean), inverse);
        if (p.scale != nullptr) v = V::mul(v, V::load(p.scale + i));
        if (p.bias != nullptr) v = V::add(v, V::load(p.bias + i));
        if constexpr (kBytesOut) {
          const F q = V::min(V::max(V::div(v, y_scale), lo), hi);
          V::store_bytes(p.y_bytes + at + i, V::add(V::to_int(q), y_zero), n);
        } else {
          store_first<V>(p.y + at + i, v, n);
        }
      });
    }
  }
};

}  // namespace
}  // namespace lapidary::kernels
