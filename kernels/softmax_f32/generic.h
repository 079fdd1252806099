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
    switch ((p.cols + V::kLanes - 1) / V::kLanes) {
      case 1:
        return short_rows<1>(p);
      case 2:
        return short_rows<2>(p);
      case 3:
        return short_rows<3>(p);
      case 4:
        return short_rows<4>(p);
      default:
        return long_rows(p);
    }
  }

 private:
  /// t of one row, vector by vector.
  struct Row {
    F x_scale, factor;
    const float *x, *mask;
    float* y;

    __attribute__((always_inline)) inline Row(const SoftmaxF32Args& p, int64_t r)
        : x_scale(V::set(p.x_scale)),
          factor(V::set(p.factor)),
          x(p.x + r * (p.x_row > 0 ? p.x_row : p.cols)),
          mask(p.mask != nullptr ? p.mask + r * p.mask_row : nullptr),
          y(p.y + r * (p.y_row > 0 ? p.y_row : p.cols)) {}
    __attribute__((always_inline)) inline F operator()(int64_t i) const {
      const F scaled = V::mul(V::mul(V::load(x + i), x_scale), factor);
      return mask != nullptr ? V::add(scaled, V::load(mask + i)) : scaled;
    }
  };

  /// Rows of kVectors vectors stay in registers.
  template <int kVectors>
  static void short_rows(const SoftmaxF32Args& p) {
    constexpr int kParts = kSumLanes / V::kLanes;
    const F least = V::set(-ExpConstants::kInfinity), zero = V::set(0.0f);
    for (int64_t r = 0; r < p.rows; ++r) {
      const Row t(p, r);
      F v[kVectors], top = least, acc[kParts];
      for (int k = 0; k < kVectors; ++k) {
        v[k] = t(k * V::kLanes);
        top = V::max(V::head(v[k], p.cols - k * V::kLanes, least), top);
      }
      const F shift = V::set(V::top(top));
      for (int k = 0; k < kParts; ++k) acc[k] = zero;
      for (int k = 0; k < kVectors; ++k) {
        v[k] = exp_of_negative_vector<V>(V::sub(v[k], shift));
        acc[k % kParts] = V::add(acc[k % kParts], V::head(v[k], p.cols - k * V::kLanes, zero));
      }
      for (int half = kParts / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) acc[k] = V::add(acc[k], acc[k + half]);
      const F inverse = V::set(1.0f / V::sum(acc[0]));
      for (int k = 0; k < kVectors; ++k)
        V::store(t.y + k * V::kLanes, V::mul(v[k], inverse), p.cols - k * V::kLanes);
    }
  }

  static void long_rows(const SoftmaxF32Args& p) {
    const F least = V::set(-ExpConstants::kInfinity);
    for (int64_t r = 0; r < p.rows; ++r) {
      const Row t(p, r);
      F top = least;
      each_vector<V>(
          p.cols, [&](int64_t i, auto n) __attribute__((always_inline)) {
            const F v = t(i);
            store_first<V>(t.y + i, v, n);
            top = V::max(V::head(v, n, least), top);
          });
      const F shift = V::set(V::top(top));
      const auto power = [&](int64_t i, auto n) __attribute__((always_inline)) {
        const F e = exp_of_negative_vector<V>(V::sub(V::load(t.y + i), shift));
        store_first<V>(t.y + i, e, n);
        return e;
      };
      const F inverse = V::set(1.0f / vector_sum<V>(p.cols, power));
      each_vector<V>(
          p.cols, [&](int64_t i, auto n) __attribute__((always_inline)) {
            store_first<V>(t.y + i, V::mul(V::load(t.y + i), inverse), n);
          });
    }
  }
};

}  // namespace
}  // namespace lapidary::kernels
