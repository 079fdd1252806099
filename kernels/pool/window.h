#pragma once

#include "kernels/pool/pool.h"

namespace lapidary::kernels {
namespace {

/// The part of one output's window that lies inside the image: taps [begin, end) along each axis.
struct Window {
  int64_t iy, ix;  ///< input position of tap (0, 0)
  int64_t ky_begin, ky_end, kx_begin, kx_end;
};

/// Taps k of [0, size) with 0 <= start + k * dilation < limit.
inline void clip_taps(int64_t start, int64_t dilation, int64_t size, int64_t limit, int64_t* begin,
                      int64_t* end) {
  *begin = start < 0 ? (-start + dilation - 1) / dilation : 0;
  const int64_t last = (limit - 1 - start) < 0 ? -1 : (limit - 1 - start) / dilation;
  *end = last + 1 < size ? last + 1 : size;
  if (*end < *begin) *end = *begin;
}

[[maybe_unused]] inline Window window_at(const ConvShape& s, int64_t oy, int64_t ox) {
  Window w{};
  w.iy = oy * s.stride_h - s.pad_top;
  w.ix = ox * s.stride_w - s.pad_left;
  clip_taps(w.iy, s.dilation_h, s.kernel_h, s.in_h, &w.ky_begin, &w.ky_end);
  clip_taps(w.ix, s.dilation_w, s.kernel_w, s.in_w, &w.kx_begin, &w.kx_end);
  return w;
}

/// The n by which an average divides.
[[maybe_unused]] inline int64_t divisor(const PoolArgs& p, const Window& w) {
  if (p.count_include_pad) return p.shape.kernel_h * p.shape.kernel_w;
  return (w.ky_end - w.ky_begin) * (w.kx_end - w.kx_begin);
}

/// Input offset, in elements, of tap (ky, kx) in image n.
[[maybe_unused]] inline int64_t tap_offset(const ConvShape& s, const Window& w, int64_t n,
                                           int64_t ky, int64_t kx) {
  const int64_t iy = w.iy + ky * s.dilation_h, ix = w.ix + kx * s.dilation_w;
  return ((n * s.in_h + iy) * s.in_w + ix) * s.in_c;
}

}  // namespace
}  // namespace lapidary::kernels
