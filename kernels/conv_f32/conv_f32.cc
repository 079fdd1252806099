#include "kernels/conv_f32/conv_f32.h"

#include "kernels/conv_f32/weights.h"
#include "kernels/families.h"
#include "kernels/scalar.h"
#include "kernels/work.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kBlock = 8;  // output channels

int64_t filter_size(const ConvShape& s) { return s.in_c / s.groups * s.kernel_h * s.kernel_w; }
int64_t group_stride(const ConvShape& s) { return round_up(s.out_c / s.groups, kBlock); }
int64_t blocks(const ConvShape& s) { return s.groups * group_stride(s) / kBlock; }
size_t no_scratch(const ConvShape&) { return 0; }

/// bias [blocks][8], then weights [blocks][KH][KW][IC/G][8].
size_t packed_bytes(const ConvShape& s) {
  return static_cast<size_t>(blocks(s) * kBlock * (1 + filter_size(s))) * sizeof(float);
}

void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
  float* to = static_cast<float*>(packed);
  pack_f32_bias(s.out_c, s.groups, group_stride(s), w.bias, to);
  to += blocks(s) * kBlock;
  const WeightF32Reader weight(s, w);
  const int64_t group_c = s.out_c / s.groups;
  for (int64_t g = 0; g < s.groups; ++g)
    for (int64_t c = 0; c < group_c; c += kBlock)
      for (int64_t ky = 0; ky < s.kernel_h; ++ky)
        for (int64_t kx = 0; kx < s.kernel_w; ++kx)
          for (int64_t ic = 0; ic < s.in_c / s.groups; ++ic)
            for (int64_t i = 0; i < kBlock; ++i)
              *to++ = c + i < group_c ? weight(g * group_c + c + i, ic, ky, kx) : 0.0f;
}

/// acc[i] += sum x * w[..][i], in the order ky, kx, ic.
void accumulate(const ConvF32Args& p, const float* w, int64_t pixel, int64_t ic_begin, float* acc) {
  const ConvShape& s = p.shape;
  const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h;
  const int64_t n = pixel / (s.out_w * s.out_h), ic_count = s.in_c / s.groups;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < s.kernel_w; ++kx, w += ic_count * kBlock) {
      const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
      const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
      if (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w) continue;
      const float* x = p.x + ((n * s.in_h + iy) * s.in_w + ix) * s.in_c + ic_begin;
      for (int64_t ic = 0; ic < ic_count; ++ic)
        for (int64_t i = 0; i < kBlock; ++i) acc[i] += x[ic] * w[ic * kBlock + i];
    }
  }
}

void run(const ConvF32Args& p) {
  const ConvShape& s = p.shape;
  const Span rows = rows_of(p.range, s), parts = blocks_of(p.range, blocks(s));
  const int64_t group_c = s.out_c / s.groups, group_blocks = ceil_div(group_c, kBlock);
  const int64_t width = is_flat(s) ? 1 : s.out_w;  // pixels of a row of work
  const int64_t y_stride = p.y_stride > 0 ? p.y_stride : s.out_c;
  const int64_t residual_stride = p.residual_stride > 0 ? p.residual_stride : s.out_c;
  const float* bias = static_cast<const float*>(p.packed);
  const float* weights = bias + blocks(s) * kBlock;
  for (int64_t pixel = rows.begin * width; pixel < rows.end * width; ++pixel) {
    for (int64_t block = parts.begin; block < parts.end; ++block) {
      const int64_t g = block / group_blocks, c = block % group_blocks * kBlock;
      float acc[kBlock];
      for (int64_t i = 0; i < kBlock; ++i) acc[i] = bias[block * kBlock + i];
      accumulate(p, weights + block * filter_size(s) * kBlock, pixel, g * (s.in_c / s.groups), acc);
      for (int64_t i = 0; i < kBlock && c + i < group_c; ++i) {
        const int64_t oc = g * group_c + c + i;
        if (p.residual != nullptr) acc[i] += p.residual[pixel * residual_stride + oc];
        p.y[pixel * y_stride + oc] = activate(acc[i], p.activation);
      }
    }
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ConvF32Functions name;
#include "kernels/conv_f32/kernels.def"
#undef LAPIDARY_KERNEL

const ConvF32Functions conv_f32_scalar = {packed_bytes, no_scratch, blocks, pack, run};

std::span<const ConvF32Kernel> conv_f32_kernels() {
  static const ConvF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"conv_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/conv_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> conv_f32_rows() { return rows_of(conv_f32_kernels()); }

Choice<ConvF32Kernel> select_conv_f32(const ConvShape&) { return choose(conv_f32_kernels()); }

void run_conv_f32(const ConvF32Kernel& kernel, const ConvF32Args& args, int threads) {
  run_split(kernel, args, threads, kernel.call->lines);
}

size_t scratch_bytes(const ConvF32Kernel& kernel, const ConvShape& shape, int threads) {
  return split_scratch_bytes(kernel, shape, threads);
}

}  // namespace lapidary::kernels
