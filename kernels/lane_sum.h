#pragma once

#include <cstdint>
#include <type_traits>

// Sums of float rows whose order no instruction set changes: element i is added to lane i mod 16,
// the lanes in a tree. For scalar rows; vectors of simd.h do the same with 16 / kLanes registers.
namespace lapidary::kernels {
namespace {

constexpr int64_t kSumLanes = 16;

/// Sum of term(0) .. term(count - 1).
template <class Term>
float lane_sum(int64_t count, const Term& term) {
  float lanes[kSumLanes] = {};
  int64_t i = 0;
  for (; i + kSumLanes <= count; i += kSumLanes)
    for (int64_t l = 0; l < kSumLanes; ++l) lanes[l] += term(i + l);
  for (int64_t l = 0; i < count; ++i, ++l) lanes[l] += term(i);
  for (int64_t half = kSumLanes / 2; half > 0; half /= 2)
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  return lanes[0];
}

/// body(i, n) for each vector of `count` elements: n is Whole, or the elements of the last one.
template <class V>
using Whole = std::integral_constant<int64_t, V::kLanes>;

template <class V, class Body>
__attribute__((always_inline)) inline void each_vector(int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) body(i, Whole<V>());
  if (i < count) body(i, count - i);
}

template <class V>
__attribute__((always_inline)) inline void store_first(float* p, typename V::F v, Whole<V>) {
  V::store(p, v);
}
template <class V>
__attribute__((always_inline)) inline void store_first(float* p, typename V::F v, int64_t n) {
  V::store(p, v, n);
}

/// lane_sum of vectors: term(i, n) as in each_vector; lanes from n on are ignored.
template <class V, class Term>
__attribute__((always_inline)) inline float vector_sum(int64_t count, const Term& term) {
  constexpr int64_t kParts = kSumLanes / V::kLanes;
  typename V::F acc[kParts];
  for (int64_t k = 0; k < kParts; ++k) acc[k] = V::set(0.0f);
  int64_t i = 0;
  for (; i + kSumLanes <= count; i += kSumLanes)
    for (int64_t k = 0; k < kParts; ++k)
      acc[k] = V::add(acc[k], term(i + k * V::kLanes, Whole<V>()));
  for (int64_t k = 0; i < count; ++k, i += V::kLanes)
    acc[k] = V::add(acc[k], V::head(term(i, count - i), count - i, V::set(0.0f)));
  for (int64_t half = kParts / 2; half > 0; half /= 2)
    for (int64_t k = 0; k < half; ++k) acc[k] = V::add(acc[k], acc[k + half]);
  return V::sum(acc[0]);
}

}  // namespace
}  // namespace lapidary::kernels
