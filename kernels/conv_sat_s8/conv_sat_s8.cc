#include "kernels/conv_sat_s8/conv_sat_s8.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "kernels/conv_s8/scalar.h"
#include "kernels/conv_sat_s8/tile.h"
#include "kernels/families.h"
#include "kernels/work.h"

namespace lapidary::kernels {

#if defined(__x86_64__)
extern int64_t sat_tile_avx2(const SatTile& t);
#endif

namespace {

int64_t filter_size(const ConvShape& s) { return s.in_c / s.groups * s.kernel_h * s.kernel_w; }
/// The inputs of an output, zeros after them.
int64_t patch_bytes(const ConvShape& s) { return round_up(filter_size(s), 4); }
int64_t group_blocks(const ConvShape& s) { return ceil_div(s.out_c / s.groups, kSatColumns); }
int64_t blocks(const ConvShape& s) { return s.groups * group_blocks(s); }
int64_t block_bytes(const ConvShape& s) { return patch_bytes(s) * kSatColumns; }

PackedS8Layout layout(const ConvShape& s) {
  return {.groups = s.groups,
          .group_stride = group_blocks(s) * kSatColumns,
          .weight_bytes = static_cast<size_t>(blocks(s) * block_bytes(s))};
}

size_t packed_bytes(const ConvShape& s) { return packed_s8_bytes(layout(s)); }
size_t scratch_bytes(const ConvShape& s) { return static_cast<size_t>(kSatRows * patch_bytes(s)); }

/// Weights as [group][block][quad][16][4].
void pack(const ConvShape& s, const ConvS8Weights& w, void* packed) {
  pack_s8_head(s, w, layout(s), packed);
  const WeightS8Reader weight(s, w);
  const int64_t group_c = s.out_c / s.groups, group_in = s.in_c / s.groups;
  for (int64_t oc = 0; oc < s.out_c; ++oc) {
    const int64_t c = oc % group_c, block = oc / group_c * group_blocks(s) + c / kSatColumns;
    int8_t* to = view_packed(packed).weights + block * block_bytes(s) + c % kSatColumns * 4;
    for (int64_t k = 0; k < filter_size(s); ++k) {
      const int64_t tap = k / group_in;
      to[k / 4 * kSatColumns * 4 + k % 4] =
          weight(oc, k % group_in, tap / s.kernel_w, tap % s.kernel_w);
    }
  }
}

/// The inputs of group `g` for an output pixel, in the order ky, kx, i.
void gather(const ConvS8Args& p, int64_t pixel, int64_t g, uint8_t* to) {
  const ConvShape& s = p.shape;
  const int64_t group_in = s.in_c / s.groups, filter = filter_size(s);
  const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h;
  const int64_t n = pixel / (s.out_w * s.out_h);
  std::memset(to + filter, 0, static_cast<size_t>(patch_bytes(s) - filter));
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < s.kernel_w; ++kx, to += group_in) {
      const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
      const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
      if (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w)
        std::memset(to, p.x_zero, static_cast<size_t>(group_in));
      else
        std::memcpy(to, p.x + ((n * s.in_h + iy) * s.in_w + ix) * s.in_c + g * group_in,
                    static_cast<size_t>(group_in));
    }
  }
}

/// Wraps.
uint32_t sum(const uint8_t* x, int64_t count) {
  uint32_t total = 0;
  for (int64_t i = 0; i < count; ++i) total += x[i];
  return total;
}

int64_t scalar_tile(const SatTile& t) {
  int64_t saturated = 0;
  for (int64_t m = 0; m < t.rows; ++m) {
    for (int64_t c = 0; c < kSatColumns; ++c) {
      uint32_t acc = 0;
      for (int64_t q = 0; q < t.quads; ++q) {
        const uint8_t* x = t.x + (m * t.quads + q) * 4;
        const int8_t* w = t.w + (q * kSatColumns + c) * 4;
        for (int i = 0; i < 4; i += 2) {
          const int32_t pair = x[i] * w[i] + x[i + 1] * w[i + 1];
          const int32_t kept = std::clamp(pair, -32768, 32767);
          saturated += kept != pair;
          acc += static_cast<uint32_t>(kept);
        }
      }
      t.acc[m * kSatColumns + c] = static_cast<int32_t>(acc);
    }
  }
  return saturated;
}

/// acc of the tile's outputs with everything but the pairs, then what becomes of it.
void store_tile(const ConvS8Args& p, const PackedS8View& packed, const SatTile& t, int64_t pixel,
                int64_t g, int64_t c_begin) {
  const ConvShape& s = p.shape;
  const int64_t group_c = s.out_c / s.groups;
  for (int64_t m = 0; m < t.rows; ++m) {
    const uint32_t x_sum =
        packed.head->has_zero_points != 0 ? sum(t.x + m * t.quads * 4, filter_size(s)) : 0;
    for (int64_t c = c_begin; c < group_c && c < c_begin + kSatColumns; ++c) {
      const int64_t at = g * packed.head->group_stride + c;
      const uint32_t acc = static_cast<uint32_t>(t.acc[m * kSatColumns + c - c_begin]) +
                           static_cast<uint32_t>(packed.bias[at]) -
                           static_cast<uint32_t>(packed.zero_points[at]) * x_sum;
      store_value(p, packed, static_cast<int32_t>(acc), pixel + m, g * group_c + c, at);
    }
  }
}

template <SatTileFunction multiply>
void run(const ConvSatS8Args& p) {
  const ConvShape& s = p.shape;
  const PackedS8View packed = view_packed(p.packed);
  const Span rows = rows_of(p.range, s), parts = blocks_of(p.range, blocks(s));
  const int64_t width = is_flat(s) ? 1 : s.out_w;  // pixels of a row of work
  auto* patches = static_cast<uint8_t*>(p.scratch);
  int32_t acc[kSatRows * kSatColumns];
  SatTile t{.x = patches, .quads = patch_bytes(s) / 4, .acc = acc};
  int64_t saturated = 0;
  for (int64_t pixel = rows.begin * width; pixel < rows.end * width; pixel += kSatRows) {
    t.rows = std::min(kSatRows, rows.end * width - pixel);
    int64_t gathered = -1;  // group
    for (int64_t block = parts.begin; block < parts.end; ++block) {
      const int64_t g = block / group_blocks(s);
      for (int64_t m = 0; g != gathered && m < t.rows; ++m)
        gather(p, pixel + m, g, patches + m * patch_bytes(s));
      gathered = g;
      t.w = packed.weights + block * block_bytes(s);
      saturated += multiply(t);
      store_tile(p, packed, t, pixel, g, block % group_blocks(s) * kSatColumns);
    }
  }
  if (p.saturated != nullptr)
    std::atomic_ref<int64_t>(*p.saturated).fetch_add(saturated, std::memory_order_relaxed);
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ConvSatS8Functions name;
#include "kernels/conv_sat_s8/kernels.def"
#undef LAPIDARY_KERNEL

const ConvSatS8Functions conv_sat_s8_scalar = {packed_bytes, scratch_bytes, blocks, pack,
                                               run<scalar_tile>};
#if defined(__x86_64__)
const ConvSatS8Functions conv_sat_s8_avx2 = {packed_bytes, scratch_bytes, blocks, pack,
                                             run<sat_tile_avx2>};
#endif

std::span<const ConvSatS8Kernel> conv_sat_s8_kernels() {
  static const ConvSatS8Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"conv_sat_s8", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/conv_sat_s8/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> conv_sat_s8_rows() { return rows_of(conv_sat_s8_kernels()); }

Choice<ConvSatS8Kernel> select_conv_sat_s8(const ConvShape&) {
  return choose(conv_sat_s8_kernels());
}

void run_conv_sat_s8(const ConvSatS8Kernel& kernel, const ConvSatS8Args& args, int threads) {
  run_split(kernel, args, threads);
}

size_t scratch_bytes(const ConvSatS8Kernel& kernel, const ConvShape& shape, int threads) {
  return split_scratch_bytes(kernel, shape, threads);
}

int64_t pair_sums(const ConvShape& s) {
  return s.batch * s.out_h * s.out_w * s.out_c * ceil_div(filter_size(s), 2);
}

}  // namespace lapidary::kernels
