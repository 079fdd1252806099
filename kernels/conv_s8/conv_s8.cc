#include "kernels/conv_s8/conv_s8.h"

#include "kernels/conv_s8/scalar.h"
#include "kernels/families.h"
#include "kernels/work.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kBlock = 16;  // output channels

int64_t filter_size(const ConvShape& s) { return s.in_c / s.groups * s.kernel_h * s.kernel_w; }

PackedS8Layout layout(const ConvShape& s) {
  return {.groups = s.groups,
          .group_stride = round_up(s.out_c / s.groups, kBlock),
          .weight_bytes = static_cast<size_t>(round_up(s.out_c * filter_size(s), 64))};
}

size_t packed_bytes(const ConvShape& s) { return packed_s8_bytes(layout(s)); }
size_t no_scratch(const ConvShape&) { return 0; }
int64_t blocks(const ConvShape& s) { return s.groups * ceil_div(s.out_c / s.groups, kBlock); }

/// Weights as [OC, KH, KW, IC/G].
void pack(const ConvShape& s, const ConvS8Weights& w, void* packed) {
  pack_s8_head(s, w, layout(s), packed);
  const WeightS8Reader weight(s, w);
  int8_t* to = view_packed(packed).weights;
  for (int64_t oc = 0; oc < s.out_c; ++oc)
    for (int64_t ky = 0; ky < s.kernel_h; ++ky)
      for (int64_t kx = 0; kx < s.kernel_w; ++kx)
        for (int64_t ic = 0; ic < s.in_c / s.groups; ++ic) *to++ = weight(oc, ic, ky, kx);
}

/// sum x * (w - zw) over the filter, x = x_zero outside the image; wraps.
uint32_t accumulate(const ConvS8Args& p, const int8_t* w, int32_t w_zero, int64_t n, int64_t oy,
                    int64_t ox, int64_t ic_begin) {
  const ConvShape& s = p.shape;
  const int64_t ic_count = s.in_c / s.groups;
  uint32_t acc = 0;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < s.kernel_w; ++kx, w += ic_count) {
      const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
      const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
      const bool inside = iy >= 0 && iy < s.in_h && ix >= 0 && ix < s.in_w;
      const uint8_t* x =
          inside ? p.x + ((n * s.in_h + iy) * s.in_w + ix) * s.in_c + ic_begin : nullptr;
      for (int64_t i = 0; i < ic_count; ++i)
        acc += static_cast<uint32_t>((inside ? x[i] : p.x_zero) * (w[i] - w_zero));
    }
  }
  return acc;
}

void run(const ConvS8Args& p) {
  const ConvShape& s = p.shape;
  const PackedS8View packed = view_packed(p.packed);
  const int64_t group_c = s.out_c / s.groups, group_blocks = ceil_div(group_c, kBlock);
  const Span rows = rows_of(p.range, s), parts = blocks_of(p.range, blocks(s));
  const int64_t width = is_flat(s) ? 1 : s.out_w;  // pixels of a row of work
  for (int64_t pixel = rows.begin * width; pixel < rows.end * width; ++pixel) {
    const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h;
    const int64_t n = pixel / (s.out_w * s.out_h);
    for (int64_t block = parts.begin; block < parts.end; ++block) {
      const int64_t g = block / group_blocks, c_begin = block % group_blocks * kBlock;
      for (int64_t c = c_begin; c < group_c && c < c_begin + kBlock; ++c) {
        const int64_t oc = g * group_c + c, at = g * packed.head->group_stride + c;
        const uint32_t acc = accumulate(p, packed.weights + oc * filter_size(s),
                                        packed.zero_points[at], n, oy, ox, g * (s.in_c / s.groups));
        store_value(p, packed, static_cast<int32_t>(acc + static_cast<uint32_t>(packed.bias[at])),
                    pixel, oc, at);
      }
    }
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ConvS8Functions name;
#include "kernels/conv_s8/kernels.def"
#undef LAPIDARY_KERNEL

const ConvS8Functions conv_s8_scalar = {packed_bytes, no_scratch, blocks, pack, run};

std::span<const ConvS8Kernel> conv_s8_kernels() {
  static const ConvS8Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"conv_s8", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/conv_s8/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> conv_s8_rows() { return rows_of(conv_s8_kernels()); }

Choice<ConvS8Kernel> select_conv_s8(const ConvShape&) { return choose(conv_s8_kernels()); }

void run_conv_s8(const ConvS8Kernel& kernel, const ConvS8Args& args, int threads) {
  run_split(kernel, args, threads);
}

size_t scratch_bytes(const ConvS8Kernel& kernel, const ConvShape& shape, int threads) {
  return split_scratch_bytes(kernel, shape, threads);
}

}  // namespace lapidary::kernels
