#include "kernels/dw_f32/dw_f32.h"

#include "kernels/conv_f32/weights.h"
#include "kernels/dw_f32/pack.h"
#include "kernels/families.h"
#include "kernels/scalar.h"
#include "kernels/work.h"
#include "src/base/fail.h"

namespace lapidary::kernels {

size_t packed_dw_f32_bytes(const ConvShape& s, int64_t lanes) {
  return static_cast<size_t>(round_up(s.out_c, lanes) * (1 + s.kernel_h * s.kernel_w)) *
         sizeof(float);
}

void pack_dw_f32(const ConvShape& s, const ConvF32Weights& w, int64_t lanes, void* packed) {
  float* to = static_cast<float*>(packed);
  const int64_t channels = round_up(s.out_c, lanes);
  pack_f32_bias(s.out_c, 1, channels, w.bias, to);
  to += channels;
  const WeightF32Reader weight(s, w);
  for (int64_t c = 0; c < s.out_c; c += lanes)
    for (int64_t ky = 0; ky < s.kernel_h; ++ky)
      for (int64_t kx = 0; kx < s.kernel_w; ++kx)
        for (int64_t lane = 0; lane < lanes; ++lane)
          *to++ = c + lane < s.out_c ? weight(c + lane, 0, ky, kx) : 0.0f;
}

namespace {

int64_t blocks(const ConvShape&) { return 1; }
size_t no_scratch(const ConvShape&) { return 0; }

/// bias [C], then weights [KH][KW][C].
size_t packed_bytes(const ConvShape& s) {
  return static_cast<size_t>(s.out_c * (1 + s.kernel_h * s.kernel_w)) * sizeof(float);
}

void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
  float* to = static_cast<float*>(packed);
  pack_f32_bias(s.out_c, 1, s.out_c, w.bias, to);
  to += s.out_c;
  const WeightF32Reader weight(s, w);
  for (int64_t ky = 0; ky < s.kernel_h; ++ky)
    for (int64_t kx = 0; kx < s.kernel_w; ++kx)
      for (int64_t c = 0; c < s.out_c; ++c) *to++ = weight(c, 0, ky, kx);
}

/// y[c] = bias[c] + sum x * w in the order ky, kx.
void accumulate(const ConvF32Args& p, int64_t pixel, float* y) {
  const ConvShape& s = p.shape;
  const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h;
  const int64_t n = pixel / (s.out_w * s.out_h);
  const float* w = static_cast<const float*>(p.packed);
  for (int64_t c = 0; c < s.out_c; ++c) y[c] = w[c];
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
      w += s.out_c;
      const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
      const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
      if (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w) continue;
      const float* x = p.x + ((n * s.in_h + iy) * s.in_w + ix) * s.in_c;
      for (int64_t c = 0; c < s.out_c; ++c) y[c] += x[c] * w[c];
    }
  }
}

void run(const ConvF32Args& p) {
  const ConvShape& s = p.shape;
  const Span rows = rows_of(p.range, s);
  const int64_t width = is_flat(s) ? 1 : s.out_w;  // pixels of a row of work
  const int64_t y_stride = p.y_stride > 0 ? p.y_stride : s.out_c;
  const int64_t residual_stride = p.residual_stride > 0 ? p.residual_stride : s.out_c;
  for (int64_t pixel = rows.begin * width; pixel < rows.end * width; ++pixel) {
    float* y = p.y + pixel * y_stride;
    accumulate(p, pixel, y);
    for (int64_t c = 0; c < s.out_c; ++c) {
      if (p.residual != nullptr) y[c] += p.residual[pixel * residual_stride + c];
      y[c] = activate(y[c], p.activation);
    }
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ConvF32Functions name;
#include "kernels/dw_f32/kernels.def"
#undef LAPIDARY_KERNEL

const ConvF32Functions dw_f32_scalar = {packed_bytes, no_scratch, blocks, pack, run};

std::span<const ConvF32Kernel> dw_f32_kernels() {
  static const ConvF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"dw_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/dw_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> dw_f32_rows() { return rows_of(dw_f32_kernels()); }

Choice<ConvF32Kernel> select_dw_f32(const ConvShape& shape) {
  LAPIDARY_CHECK(is_depthwise(shape));
  return choose(dw_f32_kernels());
}

}  // namespace lapidary::kernels
