#pragma once

#include <cstring>

#include "kernels/simd.h"
#include "kernels/transpose/transpose.h"

namespace lapidary::kernels {
namespace {

constexpr int64_t at_most_row(int64_t i, int64_t rows) { return i < rows ? i : rows - 1; }

#if defined(__x86_64__)
/// y[c * y_row + r] = x[r * x_row + c] for 16 x 16 bytes: four rounds of interleaving halves.
[[maybe_unused]] inline void transpose_16x16(const uint8_t* x, int64_t x_row, uint8_t* y,
                                             int64_t y_row) {
  __m128i v[16], u[16];
  for (int i = 0; i < 16; ++i)
    v[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i * x_row));
  for (int round = 0; round < 4; ++round) {  // perfect shuffle of rows i and i + 8
    for (int i = 0; i < 8; ++i) {
      u[2 * i] = _mm_unpacklo_epi8(v[i], v[i + 8]);
      u[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + 8]);
    }
    for (int i = 0; i < 16; ++i) v[i] = u[i];
  }
  for (int i = 0; i < 16; ++i) _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i * y_row), v[i]);
}

/// The same for 8 x 8 words: three rounds.
[[maybe_unused]] inline void transpose_8x8(const float* x, int64_t x_row, float* y, int64_t y_row) {
  __m256 v[8], u[8];
  for (int i = 0; i < 8; ++i) v[i] = _mm256_loadu_ps(x + i * x_row);
  for (int i = 0; i < 8; i += 2) {  // [r0c0 r1c0 r0c1 r1c1 | c4..]
    u[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
    u[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {  // four rows of one column in each half
    v[i] = _mm256_shuffle_ps(u[i], u[i + 2], 0x44);
    v[i + 1] = _mm256_shuffle_ps(u[i], u[i + 2], 0xEE);
    v[i + 2] = _mm256_shuffle_ps(u[i + 1], u[i + 3], 0x44);
    v[i + 3] = _mm256_shuffle_ps(u[i + 1], u[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(y + i * y_row, _mm256_permute2f128_ps(v[i], v[i + 4], 0x20));
    _mm256_storeu_ps(y + (i + 4) * y_row, _mm256_permute2f128_ps(v[i], v[i + 4], 0x31));
  }
}
/// The same for 4 columns of `rows` (2 to 4) words, four words written for
/// each column: those past `rows` are to be overwritten.
[[maybe_unused]] inline void transpose_few_x4(int64_t rows, const float* x, int64_t x_row, float* y,
                                              int64_t y_row) {
  __m128 v[4];
  for (int i = 0; i < 4; ++i) v[i] = _mm_loadu_ps(x + at_most_row(i, rows) * x_row);
  _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]);
  for (int i = 0; i < 4; ++i) _mm_storeu_ps(y + i * y_row, v[i]);
}
#elif defined(__aarch64__)
[[maybe_unused]] inline void transpose_few_x4(int64_t rows, const float* x, int64_t x_row, float* y,
                                              int64_t y_row) {
  float32x4_t v[4];
  for (int i = 0; i < 4; ++i) v[i] = vld1q_f32(x + at_most_row(i, rows) * x_row);
  const float32x4_t a = vzip1q_f32(v[0], v[2]), b = vzip2q_f32(v[0], v[2]);
  const float32x4_t d = vzip1q_f32(v[1], v[3]), e = vzip2q_f32(v[1], v[3]);
  vst1q_f32(y, vzip1q_f32(a, d));
  vst1q_f32(y + y_row, vzip2q_f32(a, d));
  vst1q_f32(y + 2 * y_row, vzip1q_f32(b, e));
  vst1q_f32(y + 3 * y_row, vzip2q_f32(b, e));
}

[[maybe_unused]] inline void transpose_16x16(const uint8_t* x, int64_t x_row, uint8_t* y,
                                             int64_t y_row) {
  uint8x16_t v[16], u[16];
  for (int i = 0; i < 16; ++i) v[i] = vld1q_u8(x + i * x_row);
  for (int round = 0; round < 4; ++round) {  // perfect shuffle of rows i and i + 8
    for (int i = 0; i < 8; ++i) {
      u[2 * i] = vzip1q_u8(v[i], v[i + 8]);
      u[2 * i + 1] = vzip2q_u8(v[i], v[i + 8]);
    }
    for (int i = 0; i < 16; ++i) v[i] = u[i];
  }
  for (int i = 0; i < 16; ++i) vst1q_u8(y + i * y_row, v[i]);
}

/// 8 x 8 words as four of 4 x 4: two rounds of the same shuffle.
[[maybe_unused]] inline void transpose_8x8(const float* x, int64_t x_row, float* y, int64_t y_row) {
  for (int r = 0; r < 8; r += 4) {
    for (int c = 0; c < 8; c += 4) {
      float32x4_t v[4];
      for (int i = 0; i < 4; ++i) v[i] = vld1q_f32(x + (r + i) * x_row + c);
      const float32x4_t a = vzip1q_f32(v[0], v[2]), b = vzip2q_f32(v[0], v[2]);
      const float32x4_t d = vzip1q_f32(v[1], v[3]), e = vzip2q_f32(v[1], v[3]);
      float* to = y + c * y_row + r;
      vst1q_f32(to, vzip1q_f32(a, d));
      vst1q_f32(to + y_row, vzip2q_f32(a, d));
      vst1q_f32(to + 2 * y_row, vzip1q_f32(b, e));
      vst1q_f32(to + 3 * y_row, vzip2q_f32(b, e));
    }
  }
}
#endif

/// Whole tiles by `tile`, the rest one by one.
template <class T, int64_t kTile, class Tile>
void transpose_tiles(const TransposeArgs& p, const Tile& tile) {
  const int64_t size = p.rows * p.cols;
  const int64_t end = p.batch_end < 0 ? p.batch : p.batch_end;
  const int64_t x_row = p.x_row > 0 ? p.x_row : p.cols, y_row = p.y_row > 0 ? p.y_row : p.rows;
  const int64_t whole_rows = p.rows / kTile * kTile, whole_cols = p.cols / kTile * kTile;
  for (int64_t b = p.batch_begin; b < end; ++b) {
    const T* x = static_cast<const T*>(p.x) + b * size;
    T* y = static_cast<T*>(p.y) + b * size;
    for (int64_t c = 0; c < whole_cols; c += kTile) {
      for (int64_t r = 0; r < whole_rows; r += kTile)
        tile(x + r * x_row + c, x_row, y + c * y_row + r, y_row);
      for (int64_t i = c; i < c + kTile; ++i)
        for (int64_t r = whole_rows; r < p.rows; ++r) y[i * y_row + r] = x[r * x_row + i];
    }
    for (int64_t c = whole_cols; c < p.cols; ++c)
      for (int64_t r = 0; r < p.rows; ++r) y[c * y_row + r] = x[r * x_row + c];
  }
}

[[maybe_unused]] void transpose_bytes1(const TransposeArgs& p) {
  transpose_tiles<uint8_t, 16>(p, transpose_16x16);
}

/// Two to four rows, columns of y without gaps: pictures. Columns whose four words would reach past
/// the last go one by one.
[[maybe_unused]] inline void transpose_few(const TransposeArgs& p) {
  const int64_t size = p.rows * p.cols, x_row = p.x_row > 0 ? p.x_row : p.cols;
  const int64_t end = p.batch_end < 0 ? p.batch : p.batch_end;
  for (int64_t b = p.batch_begin; b < end; ++b) {
    const float* x = static_cast<const float*>(p.x) + b * size;
    float* y = static_cast<float*>(p.y) + b * size;
    int64_t c = 0;
    for (; (p.cols - c - 3) * p.rows >= 4; c += 4)
      transpose_few_x4(p.rows, x + c, x_row, y + c * p.rows, p.rows);
    for (; c < p.cols; ++c)
      for (int64_t r = 0; r < p.rows; ++r) y[c * p.rows + r] = x[r * x_row + c];
  }
}

[[maybe_unused]] void transpose_bytes4(const TransposeArgs& p) {
  if (p.rows > 1 && p.rows <= 4 && p.y_row <= p.rows)
    transpose_few(p);
  else
    transpose_tiles<float, 8>(p, transpose_8x8);
}

}  // namespace
}  // namespace lapidary::kernels
