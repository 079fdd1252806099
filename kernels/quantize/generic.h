#pragma once

#include "kernels/quantize/quantize.h"
#include "kernels/transpose/generic.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct Quantize {
  using F = typename V::F;
  using I = typename V::I;

  struct Constants {
    F scale, lo, hi;
    I zero;
    explicit Constants(const QuantizeArgs& p)
        : scale(V::set(p.scale)),
          lo(V::set(static_cast<float>(p.lo - p.zero))),
          hi(V::set(static_cast<float>(p.hi - p.zero))),
          zero(V::set(p.zero)) {}
    __attribute__((always_inline)) inline I operator()(const float* x) const {
      const F scaled = V::div(V::load(x), scale);
      return V::add(V::to_int(V::min(V::max(scaled, lo), hi)), zero);
    }
  };

  static void quantize(const QuantizeArgs& p) {
    const int64_t size = p.rows * p.cols;
    const int64_t end = p.batch_end < 0 ? p.batch : p.batch_end;
    const Constants q(p);
    for (int64_t b = p.batch_begin; b < end; ++b) {
      const float* x = p.x + b * size;
      uint8_t* y = static_cast<uint8_t*>(p.y) + b * size;
      if (p.transpose)
        transposed(p, q, x, y);
      else
        for (int64_t i = 0; i < size; i += V::kLanes) V::store_bytes(y + i, q(x + i), size - i);
    }
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
  /// Tiles of 16 x 16: quantized line by line, then turned.
  static void transposed(const QuantizeArgs& p, const Constants& q, const float* x, uint8_t* y) {
    alignas(16) uint8_t lines[16 * 16] = {}, turned[16 * 16];
    for (int64_t c = 0; c < p.cols; c += 16) {
      const int64_t columns = p.cols - c < 16 ? p.cols - c : 16;
      for (int64_t r = 0; r < p.rows; r += 16) {
        const int64_t count = p.rows - r < 16 ? p.rows - r : 16;
        for (int64_t i = 0; i < count; ++i)
          for (int64_t j = 0; j < columns; j += V::kLanes)
            V::store_bytes(lines + i * 16 + j, q(x + (r + i) * p.cols + c + j));
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
