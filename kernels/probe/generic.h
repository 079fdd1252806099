#pragma once

#include "kernels/probe/probe.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

/// The sum of all lanes, of which those of accumulator i started at i. Apart from the loop, so that
/// it takes none of its registers.
template <class Lane, int kLanes>
__attribute__((noinline)) double probe_total(const Lane* lanes, int sums) {
  double sum = 0;
  for (int i = 0; i < sums * kLanes; ++i)
    sum += static_cast<double>(lanes[i]) - static_cast<double>(i / kLanes);
  return sum;
}

/// kSums accumulators of Op, which has
///   Acc with kLanes lanes of type Lane; kMacs of one `dot`
///   start(i): every lane i
///   Left, Right: operands, made from 64 bytes; load(i) gives a vector
///   dot(acc, x, w)
/// Accumulators start at different values, and rows whose products stand apart from their sums
/// load another operand for each: a compiler must not see the same work twice.
template <class Op>
double probe_run(const void* a, const void* b, int64_t rounds) {
  const typename Op::Left x(a);
  const typename Op::Right w(b);
  typename Op::Acc acc[Op::kSums];
#pragma GCC unroll 32
  for (int i = 0; i < Op::kSums; ++i) acc[i] = Op::start(i);
  for (int64_t r = 0; r < rounds; ++r) {
    const auto left = x.load(static_cast<int>(r & 1));
#pragma GCC unroll 32
    for (int i = 0; i < Op::kSums; ++i) acc[i] = Op::dot(acc[i], left, w.load(i));
  }
  typename Op::Lane lanes[Op::kSums * Op::kLanes];
#pragma GCC unroll 32
  for (int i = 0; i < Op::kSums; ++i)
    __builtin_memcpy(lanes + i * Op::kLanes, &acc[i], sizeof acc[i]);
  return probe_total<typename Op::Lane, Op::kLanes>(lanes, Op::kSums);
}

template <class Op>
constexpr ProbeLoop probe_loop() {
  return {int64_t{Op::kSums} * Op::kMacs, probe_run<Op>};
}

/// V's vector of such lanes.
template <class V, class Lane>
using ProbeVector = decltype(V::set(Lane{}));

/// The same vector for every accumulator, in a register.
template <class V, class Lane>
struct OneOperand {
  using Vector = ProbeVector<V, Lane>;
  Vector value;
  explicit OneOperand(const void* p) { __builtin_memcpy(&value, p, sizeof value); }
  __attribute__((always_inline)) inline Vector load(int) const { return value; }
};

/// A vector of 16-bit words for each accumulator, in memory.
template <class V, class Byte, int kCount>
struct WordOperands {
  using Vector = typename V::I;
  static constexpr int kWords = 2 * V::kLanes;
  alignas(64) int16_t words[kCount * kWords];
  explicit WordOperands(const void* p) {
    for (int i = 0; i < kCount * kWords; ++i) words[i] = static_cast<const Byte*>(p)[i % kWords];
  }
  __attribute__((always_inline)) inline Vector load(int i) const {
    Vector value;
    __builtin_memcpy(&value, words + i * kWords, sizeof value);
    return value;
  }
};

/// Accumulators that are vectors of one lane type.
template <class V, class T, int kCount>
struct ProbeSums {
  using Lane = T;
  using Acc = ProbeVector<V, Lane>;
  static constexpr int kSums = kCount, kLanes = V::kLanes;
  LAPIDARY_INLINE Acc start(int i) { return V::set(static_cast<Lane>(i)); }
};

/// The XOR of all, eight vectors at a time.
template <class V>
uint64_t probe_read(const void* from, int64_t bytes) {
  using Vector = typename V::I;
  constexpr int64_t kBytes = sizeof(Vector), kStep = 8 * kBytes;
  const char* p = static_cast<const char*>(from);
  const char* const end = p + bytes;
  Vector all[8] = {};
  for (; end - p >= kStep; p += kStep)
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      Vector v;
      __builtin_memcpy(&v, p + kBytes * i, sizeof v);
      all[i] ^= v;
    }
  uint64_t folded = 0;
  for (; p < end; p += 8) {
    uint64_t word;
    __builtin_memcpy(&word, p, 8);
    folded ^= word;
  }
  for (const Vector& v : all)
    for (int64_t i = 0; i < kBytes / 8; ++i) {
      uint64_t word;
      __builtin_memcpy(&word, reinterpret_cast<const char*>(&v) + 8 * i, 8);
      folded ^= word;
    }
  return folded;
}

}  // namespace
}  // namespace lapidary::kernels
