#include "kernels/conv_b1/conv_b1.h"

#include <algorithm>
#include <bit>

#include "kernels/conv_b1/packed.h"
#include "kernels/families.h"
#include "kernels/work.h"
#include "src/base/fail.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kBlock = 32;  // output channels: a word of results

int64_t filter_words(const ConvShape& s) { return b1_words(s.in_c) * s.kernel_h * s.kernel_w; }

size_t packed_bytes(const ConvShape& s) {
  return packed_b1_head_bytes(s) + static_cast<size_t>(round_up(s.out_c * filter_words(s) * 4, 64));
}
size_t no_scratch(const ConvShape&) { return 0; }
int64_t blocks(const ConvShape& s) { return ceil_div(s.out_c, kBlock); }

/// Weights as [OC, KH, KW, words].
void pack(const ConvShape& s, const ConvB1Weights& w, void* packed) {
  pack_b1_head(s, w, packed);
  uint32_t* to = view_packed_b1(packed).weights;
  const WeightB1Reader weight(s, w);
  for (int64_t oc = 0; oc < s.out_c; ++oc)
    for (int64_t ky = 0; ky < s.kernel_h; ++ky)
      for (int64_t kx = 0; kx < s.kernel_w; ++kx)
        for (int64_t i = 0; i < b1_words(s.in_c); ++i) *to++ = weight.word(oc, i, ky, kx);
}

/// Products of equal signs less those of different ones.
int32_t accumulate(const ConvB1Args& p, const uint32_t* w, int64_t n, int64_t oy, int64_t ox) {
  const ConvShape& s = p.shape;
  const int64_t words = b1_words(s.in_c);
  int64_t products = 0, different = 0;
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < s.kernel_w; ++kx, w += words) {
      const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
      const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
      const bool inside = iy >= 0 && iy < s.in_h && ix >= 0 && ix < s.in_w;
      if (!inside && p.padding == ConvB1Padding::kZero) continue;
      const uint32_t* x = inside ? p.x + ((n * s.in_h + iy) * s.in_w + ix) * words : nullptr;
      products += s.in_c;
      for (int64_t i = 0; i < words; ++i)
        different += std::popcount((inside ? x[i] : ~uint32_t{0}) ^ w[i]);
    }
  }
  return static_cast<int32_t>(products - 2 * different);
}

void run(const ConvB1Args& p) {
  const ConvShape& s = p.shape;
  const PackedB1View packed = view_packed_b1(p.packed);
  const Span rows = rows_of(p.range, s), parts = blocks_of(p.range, blocks(s));
  const int64_t width = is_flat(s) ? 1 : s.out_w;  // pixels of a row of work
  const bool bits = p.output == ConvB1Output::kBits;
  const int64_t stride = p.y_stride > 0 ? p.y_stride : (bits ? b1_words(s.out_c) : s.out_c);
  for (int64_t pixel = rows.begin * width; pixel < rows.end * width; ++pixel) {
    const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h;
    const int64_t n = pixel / (s.out_w * s.out_h);
    for (int64_t block = parts.begin; block < parts.end; ++block) {
      uint32_t word = ~uint32_t{0};
      for (int64_t c = block * kBlock; c < std::min(s.out_c, (block + 1) * kBlock); ++c) {
        const int32_t acc = accumulate(p, packed.weights + c * filter_words(s), n, oy, ox);
        if (p.output == ConvB1Output::kI32)
          static_cast<int32_t*>(p.y)[pixel * stride + c] = acc;
        else if (p.output == ConvB1Output::kF32)
          static_cast<float*>(p.y)[pixel * stride + c] =
              static_cast<float>(acc) * packed.scale[c] + packed.shift[c];
        else if ((acc ^ packed.flips[c]) < packed.thresholds[c])
          word ^= uint32_t{1} << (c % kBlock);
      }
      if (bits) static_cast<uint32_t*>(p.y)[pixel * stride + block] = word;
    }
  }
}

/// For work.h, which counts MACs of INT8: XOR, count and sum of a word take the time of some 12.
ConvShape in_int8_macs(ConvShape s) {
  s.in_c = 12 * b1_words(s.in_c);
  return s;
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ConvB1Functions name;
#include "kernels/conv_b1/kernels.def"
#undef LAPIDARY_KERNEL

const ConvB1Functions conv_b1_scalar = {packed_bytes, no_scratch, blocks, pack, run};

std::span<const ConvB1Kernel> conv_b1_kernels() {
  static const ConvB1Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"conv_b1", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/conv_b1/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> conv_b1_rows() { return rows_of(conv_b1_kernels()); }

Choice<ConvB1Kernel> select_conv_b1(const ConvShape& s) {
  LAPIDARY_CHECK(s.groups == 1);
  return choose(conv_b1_kernels());
}

void run_conv_b1(const ConvB1Kernel& kernel, const ConvB1Args& args, int threads) {
  run_parts(kernel, args, threads_worth(in_int8_macs(args.shape), threads));
}

size_t scratch_bytes(const ConvB1Kernel& kernel, const ConvShape& shape, int threads) {
  return split_scratch_bytes(kernel, shape, threads);
}

}  // namespace lapidary::kernels
