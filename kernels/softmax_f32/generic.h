#pragma once

#include "kernels/exp_f32/generic.h"
#include "kernels/lane_sum.h"
#include "kernels/softmax_f32/softmax_f32.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct SoftmaxF32 {
  using F = typename V::F;

  static void softmax(const SoftmaxF32Args& p) {
    const F x_scale = V::set(p.x_scale), factor = V::set(p.factor);
    const F least = V::set(-ExpConstants::kInfinity);
    const int64_t x_row = p.x_row > 0 ? p.x_row : p.cols, y_row = p.y_row > 0 ? p.y_row : p.cols;
    for (int64_t r = 0; r < p.rows; ++r) {
      const float* x = p.x + r * x_row;
      const float* mask = p.mask != nullptr ? p.mask + r * p.mask_row : nullptr;
      float* y = p.y + r * y_row;
      const auto t = [&](int64_t i) {
        const F scaled = V::mul(V::mul(V::load(x + i), x_scale), factor);
        return mask != nullptr ? V::add(scaled, V::load(mask + i)) : scaled;
      };
      F top = least;
      each_vector<V>(
          p.cols, [&](int64_t i, auto n) __attribute__((always_inline)) {
            const F v = t(i);
            store_first<V>(y + i, v, n);
            top = V::max(V::head(v, n, least), top);
          });
      const F shift = V::set(V::top(top));
      const auto power = [&](int64_t i, auto n) __attribute__((always_inline)) {
        const F e = exp_of_negative_vector<V>(V::sub(V::load(y + i), shift));
        store_first<V>(y + i, e, n);
        return e;
      };
      const F inverse = V::set(1.0f / vector_sum<V>(p.cols, power));
      each_vector<V>(
          p.cols, [&](int64_t i, auto n) __attribute__((always_inline)) {
            store_first<V>(y + i, V::mul(V::load(y + i), inverse), n);
          });
    }
  }
};

}  // namespace
}  // namespace lapidary::kernels
