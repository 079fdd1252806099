#pragma once

#include "kernels/scalar.h"
#include "kernels/simd.h"
#include "src/base/isa.h"

namespace lapidary::kernels {
namespace {

/// Limits before and the shift after rounding of one formula.
template <class V, bool kShifted>
struct ByteResult {
  typename V::F lo, hi;
  typename V::I shift;

  template <class Params>
  LAPIDARY_INLINE ByteResult of(const Params& p) {
    return {V::set(static_cast<float>(p.lo - p.shift)), V::set(static_cast<float>(p.hi - p.shift)),
            V::set(static_cast<int32_t>(p.shift))};
  }
  __attribute__((always_inline)) inline typename V::F value(typename V::I byte) const {
    if constexpr (kShifted) byte = V::sub(byte, shift);
    return V::to_float(byte);
  }
  __attribute__((always_inline)) inline void store(uint8_t* y, typename V::F v, int64_t n) const {
    auto rounded = V::to_int(V::min(V::max(v, lo), hi));
    if constexpr (kShifted) rounded = V::add(rounded, shift);
    V::store_bytes(y, rounded, n);
  }
};

template <class V, bool kShifted>
void add_values(const uint8_t* a, const uint8_t* b, int64_t b_step, uint8_t* y, int64_t n,
                const AddU8& p) {
  const auto result = ByteResult<V, kShifted>::of(p);
  const auto ra = V::set(p.ra), rb = V::set(p.rb), f = V::set(p.f);
  const auto one = V::fma(result.value(V::set(static_cast<int32_t>(b[0]))), rb, f);
  for (int64_t i = 0; i < n; i += V::kLanes) {
    const auto inner = b_step == 0 ? one : V::fma(result.value(V::load_u8(b + i)), rb, f);
    result.store(y + i, V::fma(result.value(V::load_u8(a + i)), ra, inner), n - i);
  }
}

/// y[i] = QLinearAdd of a[i] and b[i] over n contiguous elements; b is one value where b_step is 0.
template <class V>
void add_row(const uint8_t* a, const uint8_t* b, int64_t b_step, uint8_t* y, int64_t n,
             const AddU8& p) {
  if (p.shift == 0) return add_values<V, false>(a, b, b_step, y, n, p);
  add_values<V, true>(a, b, b_step, y, n, p);
}

/// The same with a one value: fma(a, ra, fma(b, rb, f)) keeps its order.
template <class V>
void add_row_one_a(uint8_t a, const uint8_t* b, int64_t b_step, uint8_t* y, int64_t n,
                   const AddU8& p) {
  const auto result = ByteResult<V, true>::of(p);
  const auto ra = V::set(p.ra), rb = V::set(p.rb), f = V::set(p.f);
  const auto x = result.value(V::set(static_cast<int32_t>(a)));
  for (int64_t i = 0; i < n; i += V::kLanes) {
    const auto byte = b_step == 0 ? V::set(static_cast<int32_t>(b[0])) : V::load_u8(b + i);
    result.store(y + i, V::fma(x, ra, V::fma(result.value(byte), rb, f)), n - i);
  }
}

template <class V>
typename V::I load_step(const uint8_t* p, int64_t step, int64_t i) {
  return step == 0 ? V::set(static_cast<int32_t>(p[0])) : V::load_u8(p + i);
}

template <class V>
void mul_row(const uint8_t* a, int64_t a_step, const uint8_t* b, int64_t b_step, uint8_t* y,
             int64_t n, const MulU8& p) {
  const auto za = V::set(static_cast<int32_t>(p.a_zero)),
             zb = V::set(static_cast<int32_t>(p.b_zero));
  const auto result = ByteResult<V, true>::of(p);
  const auto m = V::set(p.m), zero = V::set(static_cast<float>(p.y_zero - p.shift));
  for (int64_t i = 0; i < n; i += V::kLanes) {
    const auto x = V::sub(load_step<V>(a, a_step, i), za);
    const auto product = V::to_float(V::mul(x, V::sub(load_step<V>(b, b_step, i), zb)));
    result.store(y + i, V::add(V::mul(product, m), zero), n - i);
  }
}

#if defined(__AVX512VNNI__)
// VNNI does not imply VBMI (Cascade Lake): files for it are not compiled for VBMI, and ask
// vbmi_enabled().
#define LAPIDARY_VBMI __attribute__((target("avx512vbmi")))

/// A table in registers: half of it where every index is 128 or more.
template <bool kUpper>
struct TableVbmi {
  __m512i quarters[4];

  LAPIDARY_VBMI LAPIDARY_INLINE TableVbmi load(const uint8_t* table) {
    TableVbmi t;
    for (int i = 0; i < 4; ++i) t.quarters[i] = _mm512_loadu_si512(table + 64 * i);
    return t;
  }
  LAPIDARY_VBMI __attribute__((always_inline)) inline __m512i operator[](__m512i index) const {
    const __m512i high = _mm512_permutex2var_epi8(quarters[2], index, quarters[3]);
    if constexpr (kUpper) return high;
    const __m512i low = _mm512_permutex2var_epi8(quarters[0], index, quarters[1]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high);
  }
};

template <bool kUpper>
LAPIDARY_VBMI void lut_row_vbmi(const uint8_t* x, uint8_t* y, int64_t n, const uint8_t* table) {
  const auto t = TableVbmi<kUpper>::load(table);
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) _mm512_storeu_si512(y + i, t[_mm512_loadu_si512(x + i)]);
  if (i == n) return;
  const __mmask64 mask = (1ull << (n - i)) - 1;
  _mm512_mask_storeu_epi8(y + i, mask, t[_mm512_maskz_loadu_epi8(mask, x + i)]);
}
#endif

#if defined(__aarch64__)
/// The 16 values of x in quarters of the table: an index outside a quarter changes nothing.
LAPIDARY_INLINE uint8x16_t look_up(const uint8x16x4_t (&quarters)[4], uint8x16_t x) {
  const uint8x16_t size = vdupq_n_u8(64);
  uint8x16_t y = vqtbl4q_u8(quarters[0], x);
  y = vqtbx4q_u8(y, quarters[1], x = vsubq_u8(x, size));
  y = vqtbx4q_u8(y, quarters[2], x = vsubq_u8(x, size));
  return vqtbx4q_u8(y, quarters[3], vsubq_u8(x, size));
}
#endif

/// y[i] = table[x[i]]; no x[i] is below `least`.
template <class V>
void lut_row(const uint8_t* x, uint8_t* y, int64_t n, const uint8_t* table,
             [[maybe_unused]] int least = 0) {
#if defined(__AVX512VNNI__)
  if (vbmi_enabled())
    return least >= 128 ? lut_row_vbmi<true>(x, y, n, table) : lut_row_vbmi<false>(x, y, n, table);
#endif
  int64_t i = 0;
#if defined(__aarch64__)
  if (n >= 64) {  // below, loading the table is most of the work
    const uint8x16x4_t quarters[4] = {vld1q_u8_x4(table), vld1q_u8_x4(table + 64),
                                      vld1q_u8_x4(table + 128), vld1q_u8_x4(table + 192)};
    for (; i + 16 <= n; i += 16) vst1q_u8(y + i, look_up(quarters, vld1q_u8(x + i)));
  }
#endif
  for (; i < n; ++i) y[i] = table[x[i]];
}

/// Rows one by one, or one long row where nothing lies between them.
template <class Row>
void each_row(const Grid& g, const Row& row) {
  const bool flat =
      g.a_step == 1 && g.b_step == 1 && g.a_row == g.cols && g.b_row == g.cols && g.y_row == g.cols;
  if (flat) return row(0, g.rows * g.cols);
  for (int64_t r = 0; r < g.rows; ++r) row(r, g.cols);
}

template <class V>
struct EltwiseS8 {
  static void add(const AddU8Args& p) {
    const Grid& g = p.grid;
    each_row(g, [&](int64_t r, int64_t n) {
      const uint8_t* a = p.a + r * g.a_row;
      const uint8_t* b = p.b + r * g.b_row;
      if (g.a_step == 0)
        add_row_one_a<V>(a[0], b, g.b_step, p.y + r * g.y_row, n, p.add);
      else
        add_row<V>(a, b, g.b_step, p.y + r * g.y_row, n, p.add);
    });
  }
  static void mul(const MulU8Args& p) {
    const Grid& g = p.grid;
    each_row(g, [&](int64_t r, int64_t n) {
      mul_row<V>(p.a + r * g.a_row, g.a_step, p.b + r * g.b_row, g.b_step, p.y + r * g.y_row, n,
                 p.mul);
    });
  }
  static void lut(const LutArgs& p) {
    if (p.x_row == p.cols && p.y_row == p.cols)
      return lut_row<V>(p.x, p.y, p.rows * p.cols, p.table);
    for (int64_t r = 0; r < p.rows; ++r)
      lut_row<V>(p.x + r * p.x_row, p.y + r * p.y_row, p.cols, p.table);
  }
};

}  // namespace
}  // namespace lapidary::kernels
