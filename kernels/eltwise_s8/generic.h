#pragma once

#include "kernels/scalar.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

/// y[i] = QLinearAdd of a[i] and b[i] over n contiguous elements; b is one value where b_step is 0.
template <class V>
void add_row(const uint8_t* a, const uint8_t* b, int64_t b_step, uint8_t* y, int64_t n,
             const AddU8& p) {
  const auto ra = V::set(p.ra), rb = V::set(p.rb), f = V::set(p.f);
  const auto lo = V::set(static_cast<float>(p.lo)), hi = V::set(static_cast<float>(p.hi));
  const auto one = V::fma(V::to_float(V::set(static_cast<int32_t>(b[0]))), rb, f);
  for (int64_t i = 0; i < n; i += V::kLanes) {
    const auto inner = b_step == 0 ? one : V::fma(V::to_float(V::load_u8(b + i)), rb, f);
    const auto sum = V::fma(V::to_float(V::load_u8(a + i)), ra, inner);
    V::store_bytes(y + i, V::to_int(V::min(V::max(sum, lo), hi)), n - i);
  }
}

/// The same with a one value: fma(a, ra, fma(b, rb, f)) keeps its order.
template <class V>
void add_row_one_a(uint8_t a, const uint8_t* b, int64_t b_step, uint8_t* y, int64_t n,
                   const AddU8& p) {
  const auto ra = V::set(p.ra), rb = V::set(p.rb), f = V::set(p.f);
  const auto lo = V::set(static_cast<float>(p.lo)), hi = V::set(static_cast<float>(p.hi));
  const auto x = V::set(static_cast<float>(a));
  for (int64_t i = 0; i < n; i += V::kLanes) {
    const auto other =
        b_step == 0 ? V::set(static_cast<float>(b[0])) : V::to_float(V::load_u8(b + i));
    const auto sum = V::fma(x, ra, V::fma(other, rb, f));
    V::store_bytes(y + i, V::to_int(V::min(V::max(sum, lo), hi)), n - i);
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
  const auto m = V::set(p.m), zero = V::set(static_cast<float>(p.y_zero));
  const auto lo = V::set(static_cast<float>(p.lo)), hi = V::set(static_cast<float>(p.hi));
  for (int64_t i = 0; i < n; i += V::kLanes) {
    const auto x = V::sub(load_step<V>(a, a_step, i), za);
    const auto product = V::to_float(V::mul(x, V::sub(load_step<V>(b, b_step, i), zb)));
    const auto v = V::add(V::mul(product, m), zero);
    V::store_bytes(y + i, V::to_int(V::min(V::max(v, lo), hi)), n - i);
  }
}

#if defined(__AVX512VNNI__)
/// 64 elements at a time. VNNI does not imply VBMI (Cascade Lake): its files are not compiled for
/// it, and `lut_row` asks.
__attribute__((target("avx512vbmi"))) void lut_row_vbmi(const uint8_t* x, uint8_t* y, int64_t n,
                                                        const uint8_t* table) {
  const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64);
  const __m512i t2 = _mm512_loadu_si512(table + 128), t3 = _mm512_loadu_si512(table + 192);
  for (int64_t i = 0; i < n; i += 64) {
    const __mmask64 mask = n - i >= 64 ? ~0ull : (1ull << (n - i)) - 1;
    const __m512i index = _mm512_maskz_loadu_epi8(mask, x + i);
    const __m512i low = _mm512_permutex2var_epi8(t0, index, t1);
    const __m512i high = _mm512_permutex2var_epi8(t2, index, t3);
    const __m512i value = _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high);
    _mm512_mask_storeu_epi8(y + i, mask, value);
  }
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

template <class V>
void lut_row(const uint8_t* x, uint8_t* y, int64_t n, const uint8_t* table) {
#if defined(__AVX512VNNI__)
  if (__builtin_cpu_supports("avx512vbmi")) return lut_row_vbmi(x, y, n, table);
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
