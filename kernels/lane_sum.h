#pragma once

#include <cstdint>

// Sums of float rows whose order no instruction set changes: element i is added to lane i mod 16,
// the lanes in a tree. For scalar rows; vectors of simd.h do the same with 16 / kLanes registers.
namespace lapidary::kernels {
namespace {

constexpr int64_t kSumLanes = 16;

/// Sum of term(0) .. term(count - 1).
template <class Term>
float lane_sum(int64_t count, const Term& term) {
  float lanes[kSumLanes] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i % kSumLanes] += term(i);
  for (int64_t half = kSumLanes / 2; half > 0; half /= 2)
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  return lanes[0];
}

/// The same with term(i), a vector of the elements from i on; what lies past `count` is ignored.
template <class V, class Term>
__attribute__((always_inline)) inline float vector_sum(int64_t count, const Term& term) {
  constexpr int64_t kParts = kSumLanes / V::kLanes;
  typename V::F acc[kParts];
  for (int64_t k = 0; k < kParts; ++k) acc[k] = V::set(0.0f);
  int64_t i = 0;
  for (; i + kSumLanes <= count; i += kSumLanes)
    for (int64_t k = 0; k < kParts; ++k) acc[k] = V::add(acc[k], term(i + k * V::kLanes));
  for (int64_t k = 0; i < count; ++k, i += V::kLanes)
    acc[k] = V::add(acc[k], V::head(term(i), count - i, V::set(0.0f)));
  for (int64_t half = kParts / 2; half > 0; half /= 2)
    for (int64_t k = 0; k < half; ++k) acc[k] = V::add(acc[k], acc[k + half]);
  return V::sum(acc[0]);
}

}  // namespace
}  // namespace lapidary::kernels
