#pragma once

#include "kernels/conv_t2/run.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

// The compiler's vectors, as wide as the instruction set's.
#if defined(__AVX512BW__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
typedef uint16_t CodeWords __attribute__((vector_size(kVectorBytes)));
typedef int8_t CodeBytes __attribute__((vector_size(kVectorBytes)));
typedef int8_t HalfBytes __attribute__((vector_size(kVectorBytes / 2)));
typedef int16_t WideWords __attribute__((vector_size(kVectorBytes)));

/// store(position in the group, kVectorBytes weights) over a group of codes.
template <class Store>
LAPIDARY_INLINE void decode_group(const uint8_t* codes, const Store& store) {
#pragma GCC unroll 4
  for (int from = 0; from < 64; from += kVectorBytes) {
    CodeWords words;
    memcpy(&words, codes + from, kVectorBytes);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const CodeBytes weights = (reinterpret_cast<CodeBytes>(words >> (2 * i)) & 3) - 1;
      store(64 * i + from, weights);
    }
  }
}

template <const ConvS8Functions& kRow>
struct BytesT2 {
  static constexpr const ConvS8Functions& kCall = kRow;
  using Weight = int8_t;
  static void expand(const uint8_t* codes, int64_t groups, int8_t* to) {
    for (int64_t g = 0; g < groups; ++g, codes += 64, to += kCodeGroup)
      decode_group(
          codes, [&](int at, const CodeBytes& weights)
                     __attribute__((always_inline)) { memcpy(to + at, &weights, kVectorBytes); });
  }
};

template <const ConvS8Functions& kRow>
struct WordsT2 {
  static constexpr const ConvS8Functions& kCall = kRow;
  using Weight = int16_t;
  static void expand(const uint8_t* codes, int64_t groups, int16_t* to) {
    for (int64_t g = 0; g < groups; ++g, codes += 64, to += kCodeGroup)
      decode_group(
          codes, [&](int at, const CodeBytes& weights) __attribute__((always_inline)) {
            HalfBytes halves[2];
            memcpy(halves, &weights, kVectorBytes);
#pragma GCC unroll 2
            for (int h = 0; h < 2; ++h) {
              const WideWords wide = __builtin_convertvector(halves[h], WideWords);
              memcpy(to + at + h * kVectorBytes / 2, &wide, kVectorBytes);
            }
          });
  }
};

}  // namespace
}  // namespace lapidary::kernels
