#include "kernels/conv_f32_im2col/conv_f32_im2col.h"

#include <cstring>

#include "kernels/conv_f32/weights.h"
#include "kernels/families.h"
#include "kernels/gemm_f32/gemm_f32.h"
#include "kernels/work.h"

namespace lapidary::kernels {

#define LAPIDARY_KERNEL(isa, name, gemm, types, tile, tolerance) \
  extern const GemmF32Functions gemm;                            \
  extern const ConvF32Functions name;
#include "kernels/conv_f32_im2col/kernels.def"
#undef LAPIDARY_KERNEL

namespace {

constexpr int64_t kWindowBytes = 256 * 1024;  // written out at a time
constexpr int64_t kSlack = 16;                // floats that may be read past an array

int64_t filter_size(const ConvShape& s) { return s.kernel_h * s.kernel_w * (s.in_c / s.groups); }
/// Outputs of a row of work.
int64_t row_pixels(const ConvShape& s) { return is_flat(s) ? 1 : s.out_w; }
GemmF32Shape group_product(const ConvShape& s, int64_t pixels) {
  return {.m = pixels, .n = s.out_c / s.groups, .k = filter_size(s)};
}
/// Rows of work whose windows are written out at a time. A flat input is that matrix already.
int64_t chunk_rows(const ConvShape& s) {
  if (is_flat(s) && s.groups == 1) return work_rows(s);
  const int64_t row_bytes = row_pixels(s) * filter_size(s) * static_cast<int64_t>(sizeof(float));
  return std::clamp<int64_t>(kWindowBytes / row_bytes, 1, work_rows(s));
}

size_t scratch_bytes(const ConvShape& s) {
  if (is_flat(s) && s.groups == 1) return 0;
  const int64_t floats = chunk_rows(s) * row_pixels(s) * filter_size(s) + kSlack;
  return static_cast<size_t>(floats) * sizeof(float);
}

/// Windows of group g around `count` outputs from `pixel` on, [KH][KW][IC/G] each; 0 outside.
void write_windows(const ConvF32Args& p, int64_t g, int64_t pixel, int64_t count, float* to) {
  const ConvShape& s = p.shape;
  const int64_t ic_count = s.in_c / s.groups;
  const size_t bytes = static_cast<size_t>(ic_count) * sizeof(float);
  for (const int64_t end = pixel + count; pixel < end; ++pixel) {
    const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h;
    const int64_t n = pixel / (s.out_w * s.out_h);
    for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < s.kernel_w; ++kx, to += ic_count) {
        const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
        const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
        if (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w)
          std::memset(to, 0, bytes);
        else
          std::memcpy(to, p.x + ((n * s.in_h + iy) * s.in_w + ix) * s.in_c + g * ic_count, bytes);
      }
    }
  }
}

template <const GemmF32Functions& kGemm>
struct Im2col {
  static int64_t group_blocks(const ConvShape& s) { return kGemm.blocks(group_product(s, 1)); }
  static int64_t blocks(const ConvShape& s) { return s.groups * group_blocks(s); }
  static size_t bias_bytes(const ConvShape& s) {
    return static_cast<size_t>(round_up(s.out_c + kSlack, kSlack)) * sizeof(float);
  }
  static size_t group_bytes(const ConvShape& s) {
    return (kGemm.packed_bytes(group_product(s, 1)) + 63) / 64 * 64;
  }

  /// bias [OC], then each group's B, [KH*KW*IC/G, OC/G] as gemm_f32 packs it.
  static size_t packed_bytes(const ConvShape& s) {
    return bias_bytes(s) + static_cast<size_t>(s.groups) * group_bytes(s);
  }
  static void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
    pack_f32_bias(s.out_c, 1, s.out_c, w.bias, static_cast<float*>(packed));
    const WeightF32Reader weight(s, w);
    const int64_t group_c = s.out_c / s.groups;
    std::vector<float> b(static_cast<size_t>(filter_size(s) * group_c));
    for (int64_t g = 0; g < s.groups; ++g) {
      float* to = b.data();
      for (int64_t ky = 0; ky < s.kernel_h; ++ky)
        for (int64_t kx = 0; kx < s.kernel_w; ++kx)
          for (int64_t ic = 0; ic < s.in_c / s.groups; ++ic)
            for (int64_t c = 0; c < group_c; ++c) *to++ = weight(g * group_c + c, ic, ky, kx);
      kGemm.pack(
          group_product(s, 1), {.data = b.data()},
          static_cast<char*>(packed) + bias_bytes(s) + static_cast<size_t>(g) * group_bytes(s));
    }
  }

  static void run(const ConvF32Args& p) {
    const ConvShape& s = p.shape;
    const Span rows = rows_of(p.range, s), parts = blocks_of(p.range, blocks(s));
    const int64_t per_group = group_blocks(s), group_c = s.out_c / s.groups;
    for (int64_t row = rows.begin; row < rows.end; row += chunk_rows(s)) {
      const int64_t pixel = row * row_pixels(s);
      const int64_t pixels = std::min(chunk_rows(s), rows.end - row) * row_pixels(s);
      for (int64_t g = parts.begin / per_group; g * per_group < parts.end; ++g) {
        GemmF32Args gemm;
        gemm.shape = group_product(s, pixels);
        gemm.block_begin = std::max<int64_t>(0, parts.begin - g * per_group);
        gemm.block_end = std::min(per_group, parts.end - g * per_group);
        gemm.a = p.x + pixel * s.in_c;
        if (!is_flat(s) || s.groups > 1) {
          write_windows(p, g, pixel, pixels, static_cast<float*>(p.scratch));
          gemm.a = static_cast<const float*>(p.scratch);
        }
        gemm.packed_b = static_cast<const char*>(p.packed) + bias_bytes(s) +
                        static_cast<size_t>(g) * group_bytes(s);
        gemm.bias = static_cast<const float*>(p.packed) + g * group_c;
        gemm.ldy = p.y_stride > 0 ? p.y_stride : s.out_c;
        gemm.y = p.y + pixel * gemm.ldy + g * group_c;
        gemm.ld_residual = p.residual_stride > 0 ? p.residual_stride : s.out_c;
        if (p.residual != nullptr)
          gemm.residual = p.residual + pixel * gemm.ld_residual + g * group_c;
        gemm.activation = p.activation;
        kGemm.run(gemm);
      }
    }
  }
};

}  // namespace

#define LAPIDARY_KERNEL(isa, name, gemm, types, tile, tolerance)                                  \
  const ConvF32Functions name = {Im2col<gemm>::packed_bytes, scratch_bytes, Im2col<gemm>::blocks, \
                                 Im2col<gemm>::pack, Im2col<gemm>::run};
#include "kernels/conv_f32_im2col/kernels.def"
#undef LAPIDARY_KERNEL

std::span<const ConvF32Kernel> conv_f32_im2col_kernels() {
  static const ConvF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, gemm, types, tile, tolerance) \
  {{"conv_f32_im2col", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/conv_f32_im2col/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> conv_f32_im2col_rows() { return rows_of(conv_f32_im2col_kernels()); }

}  // namespace lapidary::kernels
