#pragma once

#include "kernels/quantize/quantize.h"
#include "kernels/transpose/generic.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct Quantize {
  using F = typename V::F;
  using I = typename V::I;

  /// rint(x / scale) + zero. Division is slow, so where nothing can underflow the quotient is found
  /// from q = x * RN(1 / scale) by q += (x - q * scale) * RN(1 / scale), done twice: after the
  /// first q is within an ulp, and then the second rounds correctly (Markstein, 1990). x is clamped
  /// first; at (lo - zero) * scale, rounded, the quotient still rounds to lo - zero.
  template <bool kDivide>
  struct Constants {
    F scale, inverse, lo, hi;
    I zero;
    explicit Constants(const QuantizeArgs& p)
        : scale(V::set(kDivide ? p.scale : -p.scale)),
          inverse(V::set(1.0f / p.scale)),
          lo(V::set(static_cast<float>(p.lo - p.zero) * (kDivide ? 1.0f : p.scale))),
          hi(V::set(static_cast<float>(p.hi - p.zero) * (kDivide ? 1.0f : p.scale))),
          zero(V::set(p.zero)) {}
    __attribute__((always_inline)) inline I operator()(const float* from) const {
      if constexpr (kDivide) {
        const F scaled = V::div(V::load(from), scale);
        return V::add(V::to_int(V::min(V::max(scaled, lo), hi)), zero);
      }
      const F x = V::min(V::max(V::load(from), lo), hi);
      F q = V::mul(x, inverse);
      q = V::fma(V::fma(q, scale, x), inverse, q);
      q = V::fma(V::fma(q, scale, x), inverse, q);
      return V::add(V::to_int(q), zero);
    }
  };

  static void quantize(const QuantizeArgs& p) {
    if (p.scale > 0x1p-60f && p.scale < 0x1p60f)
      quantize_by(p, Constants<false>(p));
    else
      quantize_by(p, Constants<true>(p));
  }

  static void dequantize(const DequantizeArgs& p) {
    const int64_t size = p.rows * p.cols;
    const int64_t end = p.batch_end < 0 ? p.batch : p.batch_end;
    for (int64_t b = p.batch_begin; b < end; ++b) {
      const uint8_t* x = static_cast<const uint8_t*>(p.x) + b * size;
      if (p.transpose)
        dequantize_transposed(p, x, p.y + b * size);
      else
        dequantize_row(p, x, p.y + b * size, size);
    }
  }

  static void requantize(const RequantizeArgs& p) {
    const F multiplier = V::set(p.multiplier);
    const F lo = V::set(static_cast<float>(0 - p.zero)),
            hi = V::set(static_cast<float>(255 - p.zero));
    const I zero = V::set(p.zero);
    for (int64_t i = 0; i < p.count; i += V::kLanes) {
      const F v = V::min(V::max(V::mul(V::load(p.x + i), multiplier), lo), hi);
      V::store_bytes(p.y + i, V::add(V::to_int(v), zero), p.count - i);
    }
  }

 private:
  template <class Q>
  static void quantize_by(const QuantizeArgs& p, const Q& q) {
    const int64_t size = p.rows * p.cols, x_row = p.x_row > 0 ? p.x_row : p.cols;
    const int64_t end = p.batch_end < 0 ? p.batch : p.batch_end;
    for (int64_t b = p.batch_begin; b < end; ++b) {
      const float* x = p.x + b * size;
      uint8_t* y = static_cast<uint8_t*>(p.y) + b * size;
      if (p.transpose && p.rows > 1 && p.rows <= 4)
        interleaved(p, q, x, x_row, y);
      else if (p.transpose && p.rows > 1)
        transposed(p, q, x, x_row, y);
      else
        for (int64_t r = 0; r < p.rows; ++r)
          for (int64_t c = 0; c < p.cols; c += V::kLanes)
            V::store_bytes(y + r * p.cols + c, q(x + r * x_row + c), p.cols - c);
    }
  }

  /// Two to four rows: the bytes of a column are those of one lane.
  template <class Q>
  static void interleaved(const QuantizeArgs& p, const Q& q, const float* x, int64_t x_row,
                          uint8_t* y) {
    alignas(64) uint8_t lanes[4 * V::kLanes];
    for (int64_t c = 0; c < p.cols; c += V::kLanes) {
      I column = low_byte(q(x + c));
      column = V::add(column, shifted<8>(low_byte(q(x + x_row + c))));
      if (p.rows > 2) column = V::add(column, shifted<16>(low_byte(q(x + 2 * x_row + c))));
      if (p.rows > 3) column = V::add(column, shifted<24>(low_byte(q(x + 3 * x_row + c))));
      const int64_t left = p.cols - c;
      uint8_t* to = y + c * p.rows;
      V::store(reinterpret_cast<int32_t*>(lanes), column);
#if defined(__x86_64__)
      // Four columns at a time, the bytes past them overwritten by the next four.
      if ((left - V::kLanes) * p.rows >= 16 - 4 * p.rows) {
        const __m128i order = p.rows == 2 ? _mm_set_epi32(-1, -1, 0x0D0C0908, 0x05040100)
                              : p.rows == 3
                                  ? _mm_set_epi32(-1, 0x0E0D0C0A, 0x09080605, 0x04020100)
                                  : _mm_set_epi32(0x0F0E0D0C, 0x0B0A0908, 0x07060504, 0x03020100);
        for (int i = 0; i < V::kLanes; i += 4, to += 4 * p.rows)
          _mm_storeu_si128(
              reinterpret_cast<__m128i*>(to),
              _mm_shuffle_epi8(_mm_load_si128(reinterpret_cast<__m128i*>(lanes + 4 * i)), order));
        continue;
      }
#endif
      for (int64_t i = 0; i < V::kLanes && i < left; ++i)
        for (int64_t r = 0; r < p.rows; ++r) *to++ = lanes[4 * i + r];
    }
  }
#if defined(__aarch64__)
  template <int kBits>
  LAPIDARY_INLINE int32x4_t shifted(int32x4_t v) {
    return vshlq_n_s32(v, kBits);
  }
  LAPIDARY_INLINE int32x4_t low_byte(int32x4_t v) { return vandq_s32(v, vdupq_n_s32(0xFF)); }
#else
  template <int kBits>
  LAPIDARY_INLINE __m256i shifted(__m256i v) {
    return _mm256_slli_epi32(v, kBits);
  }
  LAPIDARY_INLINE __m256i low_byte(__m256i v) {
    return _mm256_and_si256(v, _mm256_set1_epi32(0xFF));
  }
#endif
#if defined(__AVX512F__)
  template <int kBits>
  LAPIDARY_INLINE __m512i shifted(__m512i v) {
    return _mm512_slli_epi32(v, kBits);
  }
  LAPIDARY_INLINE __m512i low_byte(__m512i v) {
    return _mm512_and_si512(v, _mm512_set1_epi32(0xFF));
  }
#endif

  /// Tiles of 16 x 16: quantized line by line, then turned.
  template <class Q>
  static void transposed(const QuantizeArgs& p, const Q& q, const float* x, int64_t x_row,
                         uint8_t* y) {
    alignas(16) uint8_t lines[16 * 16] = {}, turned[16 * 16];
    for (int64_t c = 0; c < p.cols; c += 16) {
      const int64_t columns = p.cols - c < 16 ? p.cols - c : 16;
      for (int64_t r = 0; r < p.rows; r += 16) {
        const int64_t count = p.rows - r < 16 ? p.rows - r : 16;
        for (int64_t i = 0; i < count; ++i)
          for (int64_t j = 0; j < columns; j += V::kLanes)
            V::store_bytes(lines + i * 16 + j, q(x + (r + i) * x_row + c + j));
        if (columns == 16 && count == 16) {
          transpose_16x16(lines, 16, y + c * p.rows + r, p.rows);
          continue;
        }
        transpose_16x16(lines, 16, turned, 16);
        for (int64_t j = 0; j < columns; ++j)
          for (int64_t i = 0; i < count; ++i) y[(c + j) * p.rows + r + i] = turned[j * 16 + i];
      }
    }
  }

  static void dequantize_row(const DequantizeArgs& p, const uint8_t* x, float* y, int64_t count) {
    const F scale = V::set(p.scale);
    const I zero = V::set(p.zero);
    for (int64_t i = 0; i < count; i += V::kLanes) {
      const I q = p.is_signed ? V::load_s8(x + i) : V::load_u8(x + i);
      V::store(y + i, V::mul(V::to_float(V::sub(q, zero)), scale), count - i);
    }
  }

  static void dequantize_transposed(const DequantizeArgs& p, const uint8_t* x, float* y) {
    alignas(64) float values[256];
    alignas(64) uint8_t bytes[256];
    for (int i = 0; i < 256; ++i) bytes[i] = static_cast<uint8_t>(i);
    for (int i = 0; i < 256; i += V::kLanes) dequantize_row(p, bytes + i, values + i, V::kLanes);
    for (int64_t r = 0; r < p.rows; r += 16)  // 16 floats: the line of y that a column fills
      for (int64_t c = 0; c < p.cols; ++c)
        for (int64_t i = r; i < r + 16 && i < p.rows; ++i)
          y[c * p.rows + i] = values[x[i * p.cols + c]];
  }
};

}  // namespace
}  // namespace lapidary::kernels
