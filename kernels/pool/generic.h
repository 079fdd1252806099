#pragma once

#include <limits>

#include "kernels/pool/window.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

/// state = step(state, x) over the window's taps, for the lanes at channel c.
template <class State, class Step>
LAPIDARY_INLINE State fold(const PoolArgs& p, const Window& w, int64_t n, int64_t c, State state,
                           const Step& step) {
  for (int64_t ky = w.ky_begin; ky < w.ky_end; ++ky) {
    int64_t at = tap_offset(p.shape, w, n, ky, w.kx_begin) + c;
    for (int64_t kx = w.kx_begin; kx < w.kx_end; ++kx, at += p.shape.dilation_w * p.shape.in_c)
      state = step(state, at);
  }
  return state;
}

/// body(window, image, offset of the output pixel) for each output pixel.
template <class Body>
void each_window(const PoolArgs& p, const Body& body) {
  const ConvShape& s = p.shape;
  const int64_t y_stride = p.y_stride > 0 ? p.y_stride : s.out_c;
  const int64_t row_end = p.row_end < 0 ? s.batch * s.out_h : p.row_end;
  const int64_t span = (s.kernel_w - 1) * s.dilation_w;
  for (int64_t row = p.row_begin; row < row_end; ++row) {
    const int64_t n = row / s.out_h;
    Window w = window_at(s, row - n * s.out_h, 0);
    w.ix = -s.pad_left;
    for (int64_t ox = 0; ox < s.out_w; ++ox, w.ix += s.stride_w) {
      w.kx_begin = 0;
      w.kx_end = s.kernel_w;
      if (w.ix < 0 || w.ix + span >= s.in_w)
        clip_taps(w.ix, s.dilation_w, s.kernel_w, s.in_w, &w.kx_begin, &w.kx_end);
      body(w, n, (row * s.out_w + ox) * y_stride);
    }
  }
}

template <class V>
struct Pool {
  using F = typename V::F;
  using I = typename V::I;

  static void max_u8(const PoolArgs& p) {
    const auto* x = static_cast<const uint8_t*>(p.x);
    each_window(p, [&](const Window& w, int64_t n, int64_t to) {
      for (int64_t c = 0; c < p.shape.in_c; c += 4 * V::kLanes) {
        const I most = fold(p, w, n, c, V::set(0),
                            [&](I m, int64_t at) { return V::max_bytes(m, V::load_raw(x + at)); });
        V::template store_part<4, 0>(static_cast<uint8_t*>(p.y) + to + c, most, p.shape.in_c - c);
      }
    });
  }

  static void average_u8(const PoolArgs& p) {
    const auto* x = static_cast<const uint8_t*>(p.x);
    const F lo = V::set(static_cast<float>(p.lo - p.y_zero));
    const F hi = V::set(static_cast<float>(p.hi - p.y_zero));
    each_window(p, [&](const Window& w, int64_t n, int64_t to) {
      const int64_t taps = (w.ky_end - w.ky_begin) * (w.kx_end - w.kx_begin);
      const I zeros = V::set(static_cast<int32_t>(taps * p.x_zero));
      const F m = V::set(p.x_scale / (static_cast<float>(divisor(p, w)) * p.y_scale));
      for (int64_t c = 0; c < p.shape.in_c; c += V::kLanes) {
        const I sum = fold(p, w, n, c, V::set(0),
                           [&](I s, int64_t at) { return V::add(s, V::load_u8(x + at)); });
        const F scaled = V::mul(V::to_float(V::sub(sum, zeros)), m);
        const I y = V::add(V::to_int(V::min(V::max(scaled, lo), hi)), V::set(p.y_zero));
        V::store_bytes(static_cast<uint8_t*>(p.y) + to + c, y, p.shape.in_c - c);
      }
    });
  }

  static void max_f32(const PoolArgs& p) {
    const auto* x = static_cast<const float*>(p.x);
    each_window(p, [&](const Window& w, int64_t n, int64_t to) {
      for (int64_t c = 0; c < p.shape.in_c; c += V::kLanes) {
        const F least = V::set(-std::numeric_limits<float>::infinity());
        const F most = fold(p, w, n, c, least, [&](F m, int64_t at) {
          return V::where_nan(m, m, V::max(m, V::load(x + at)));
        });
        V::store(static_cast<float*>(p.y) + to + c, most, p.shape.in_c - c);
      }
    });
  }

  static void average_f32(const PoolArgs& p) {
    const auto* x = static_cast<const float*>(p.x);
    each_window(p, [&](const Window& w, int64_t n, int64_t to) {
      const F count = V::set(static_cast<float>(divisor(p, w)));
      for (int64_t c = 0; c < p.shape.in_c; c += V::kLanes) {
        const F sum = fold(p, w, n, c, V::set(0.0f),
                           [&](F s, int64_t at) { return V::add(s, V::load(x + at)); });
        V::store(static_cast<float*>(p.y) + to + c, V::div(sum, count), p.shape.in_c - c);
      }
    });
  }
};

}  // namespace
}  // namespace lapidary::kernels
