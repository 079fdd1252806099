#include "kernels/pool/pool.h"

#include "kernels/families.h"
#include "kernels/pool/window.h"
#include "kernels/scalar.h"

namespace lapidary::kernels {

namespace {

/// y[channel] = finish(fold over the window of step(state, x), window) for each output pixel.
template <class T, class State, class Step, class Finish>
void pool(const PoolArgs& p, State initial, const Step& step, const Finish& finish) {
  const ConvShape& s = p.shape;
  const int64_t y_stride = p.y_stride > 0 ? p.y_stride : s.out_c;
  const int64_t row_end = p.row_end < 0 ? s.batch * s.out_h : p.row_end;
  const T* x = static_cast<const T*>(p.x);
  for (int64_t pixel = p.row_begin * s.out_w; pixel < row_end * s.out_w; ++pixel) {
    const int64_t n = pixel / (s.out_w * s.out_h);
    const Window w = window_at(s, pixel / s.out_w % s.out_h, pixel % s.out_w);
    for (int64_t c = 0; c < s.in_c; ++c) {
      State state = initial;
      for (int64_t ky = w.ky_begin; ky < w.ky_end; ++ky)
        for (int64_t kx = w.kx_begin; kx < w.kx_end; ++kx)
          state = step(state, x[tap_offset(s, w, n, ky, kx) + c]);
      static_cast<T*>(p.y)[pixel * y_stride + c] = finish(state, w);
    }
  }
}

void max_u8(const PoolArgs& p) {
  pool<uint8_t>(
      p, uint8_t{0}, [](uint8_t m, uint8_t x) { return x > m ? x : m; },
      [](uint8_t m, const Window&) { return m; });
}

void average_u8(const PoolArgs& p) {
  pool<uint8_t>(
      p, 0, [&](int sum, uint8_t x) { return sum + x - p.x_zero; },
      [&](int sum, const Window& w) {
        const float m = p.x_scale / (static_cast<float>(divisor(p, w)) * p.y_scale);
        return static_cast<uint8_t>(
            saturate_rint(static_cast<float>(sum) * m, p.y_zero, p.lo, p.hi));
      });
}

void max_f32(const PoolArgs& p) {
  pool<float>(
      p, -std::numeric_limits<float>::infinity(),
      [](float m, float x) { return m != m || m > x ? m : x; },
      [](float m, const Window&) { return m; });
}

void average_f32(const PoolArgs& p) {
  pool<float>(
      p, 0.0f, [](float sum, float x) { return sum + x; },
      [&](float sum, const Window& w) { return sum / static_cast<float>(divisor(p, w)); });
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const PoolFunctions name;
#include "kernels/pool/kernels.def"
#undef LAPIDARY_KERNEL

const PoolFunctions pool_scalar = {max_u8, average_u8, max_f32, average_f32};

std::span<const PoolKernel> pool_kernels() {
  static const PoolKernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"pool", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/pool/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> pool_rows() { return rows_of(pool_kernels()); }

Choice<PoolKernel> select_pool() { return choose(pool_kernels()); }

}  // namespace lapidary::kernels
