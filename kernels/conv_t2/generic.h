#pragma once

#include "kernels/conv_t2/run.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

// The compiler's vectors, of any instruction set: 64 bytes may be several registers.
typedef uint16_t CodeWords __attribute__((vector_size(64)));
typedef int8_t CodeBytes __attribute__((vector_size(64)));
typedef int8_t SomeBytes __attribute__((vector_size(16)));
typedef int16_t SomeWords __attribute__((vector_size(32)));

/// Each byte's two bits from 2 * i on, less 1.
#define LAPIDARY_T2_WEIGHTS(words, i) ((CodeBytes)((words) >> (2 * (i))) & 3) - 1

template <const ConvS8Functions& kRow>
struct BytesT2 {
  static constexpr const ConvS8Functions& kCall = kRow;
  using Weight = int8_t;
  static void expand(const uint8_t* codes, int64_t groups, int8_t* to) {
    for (int64_t g = 0; g < groups; ++g, codes += 64, to += kCodeGroup) {
      CodeWords words;
      memcpy(&words, codes, 64);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const CodeBytes weights = LAPIDARY_T2_WEIGHTS(words, i);
        memcpy(to + 64 * i, &weights, 64);
      }
    }
  }
};

template <const ConvS8Functions& kRow>
struct WordsT2 {
  static constexpr const ConvS8Functions& kCall = kRow;
  using Weight = int16_t;
  static void expand(const uint8_t* codes, int64_t groups, int16_t* to) {
    for (int64_t g = 0; g < groups; ++g, codes += 64) {
      CodeWords words;
      memcpy(&words, codes, 64);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const CodeBytes weights = LAPIDARY_T2_WEIGHTS(words, i);
#pragma GCC unroll 4
        for (int part = 0; part < 4; ++part, to += 16) {
          SomeBytes some;
          memcpy(&some, reinterpret_cast<const char*>(&weights) + 16 * part, 16);
          const SomeWords wide = __builtin_convertvector(some, SomeWords);
          memcpy(to, &wide, 32);
        }
      }
    }
  }
};

}  // namespace
}  // namespace lapidary::kernels
