#include "kernels/dw_s8/dw_s8.h"

#include <vector>

#include "kernels/conv_s8/scalar.h"
#include "kernels/depthwise/square.h"
#include "kernels/dw_s8/pack.h"
#include "kernels/families.h"
#include "kernels/work.h"
#include "src/base/fail.h"

namespace lapidary::kernels {

namespace {

PackedS8Layout vector_layout(const ConvShape& s, const DwPacking& p) {
  const int64_t block_bytes = s.kernel_w * ceil_div(s.kernel_h, p.taps) * p.lanes * 4;
  const int64_t channels = round_up(s.out_c, p.wide > 0 ? p.wide : p.lanes);
  const int64_t blocks = channels / p.lanes + (p.wide > 0 ? 4 : 0);
  return {.groups = 1,
          .group_stride = round_up(channels, 16),
          .weight_bytes = static_cast<size_t>(blocks * block_bytes)};
}

/// The channel, in its block, of each lane of each part.
std::vector<std::vector<int64_t>> block_channels(int64_t lanes, bool wide) {
  std::vector<std::vector<int64_t>> parts(wide ? 4 : 1);
  for (size_t j = 0; j < parts.size(); ++j)
    for (int64_t lane = 0; lane < lanes; ++lane)
      parts[j].push_back(wide ? lane / 4 * 16 + static_cast<int64_t>(j) * 4 + lane % 4 : lane);
  return parts;
}

/// One block; channel_of(c): that of the weights, or past the last.
template <class T, class ChannelOf>
T* pack_block(const ConvShape& s, const WeightS8Reader& weight, const DwPacking& packing,
              const std::vector<std::vector<int64_t>>& parts, const ChannelOf& channel_of, T* to) {
  const bool by_tap = packing.order == UnitOrder::kElements;
  const int64_t lane_step = by_tap ? 1 : packing.taps, tap_step = by_tap ? packing.lanes : 1;
  for (int64_t kx = 0; kx < s.kernel_w; ++kx)
    for (int64_t ky = 0; ky < s.kernel_h; ky += packing.taps)
      for (const std::vector<int64_t>& part : parts) {
        for (int64_t lane = 0; lane < packing.lanes; ++lane)
          for (int64_t tap = 0; tap < packing.taps; ++tap)
            if (const int64_t c = channel_of(part[static_cast<size_t>(lane)]);
                c < s.out_c && ky + tap < s.kernel_h)
              to[lane * lane_step + tap * tap_step] = weight(c, 0, ky + tap, kx);
        to += packing.lanes * packing.taps;
      }
  return to;
}

template <class T>
void pack_vectors(const ConvShape& s, const WeightS8Reader& weight, const DwPacking& p, T* to) {
  for (int64_t c = 0; c < s.out_c;) {
    const bool is_wide = p.wide > 0 && 2 * (s.out_c - c) > p.wide;
    to = pack_block(
        s, weight, p, block_channels(p.lanes, is_wide), [&](int64_t lane) { return c + lane; }, to);
    c += is_wide ? p.wide : p.lanes;
  }
}

}  // namespace

size_t packed_dw_s8_bytes(const ConvShape& s, const DwPacking& p) {
  return packed_s8_bytes(vector_layout(s, p));
}

void pack_dw_s8(const ConvShape& s, const ConvS8Weights& w, const DwPacking& packing,
                void* packed) {
  DwPacking p = packing;
  pack_s8_head(s, w, vector_layout(s, p), packed);
  const PackedS8View view = view_packed(packed);
  if (view.head->has_zero_points != 0 || !dw_is_square(s) || s.kernel_w != 3) p.wide = 0;
  const WeightS8Reader weight(s, w);
  if (p.wide > 0 && dw_is_narrow(s, p.wide))
    pack_block(
        s, weight, p, block_channels(p.lanes, true), [&](int64_t lane) { return lane % s.out_c; },
        view.weights + dw_s8_narrow_at(s, p));
  if (p.taps == 4)
    pack_vectors(s, weight, p, view.weights);
  else
    pack_vectors(s, weight, p, reinterpret_cast<int16_t*>(view.weights));
}

namespace {

PackedS8Layout layout(const ConvShape& s) {
  return {.groups = 1,
          .group_stride = round_up(s.out_c, 16),
          .weight_bytes = static_cast<size_t>(round_up(s.out_c * s.kernel_h * s.kernel_w, 64))};
}

size_t packed_bytes(const ConvShape& s) { return packed_s8_bytes(layout(s)); }
size_t no_scratch(const ConvShape&) { return 0; }
int64_t blocks(const ConvShape&) { return 1; }

/// Weights as [C, KH, KW].
void pack(const ConvShape& s, const ConvS8Weights& w, void* packed) {
  pack_s8_head(s, w, layout(s), packed);
  const WeightS8Reader weight(s, w);
  int8_t* to = view_packed(packed).weights;
  for (int64_t c = 0; c < s.out_c; ++c)
    for (int64_t ky = 0; ky < s.kernel_h; ++ky)
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) *to++ = weight(c, 0, ky, kx);
}

int32_t accumulate(const ConvS8Args& p, const PackedS8View& packed, int64_t n, int64_t oy,
                   int64_t ox, int64_t c) {
  const ConvShape& s = p.shape;
  const int8_t* w = packed.weights + c * s.kernel_h * s.kernel_w;
  auto acc = static_cast<uint32_t>(packed.bias[c]);
  for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
      const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
      const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
      const bool inside = iy >= 0 && iy < s.in_h && ix >= 0 && ix < s.in_w;
      const int x = inside ? p.x[((n * s.in_h + iy) * s.in_w + ix) * s.in_c + c] : p.x_zero;
      acc += static_cast<uint32_t>(x * (*w++ - packed.zero_points[c]));
    }
  }
  return static_cast<int32_t>(acc);
}

void run(const ConvS8Args& p) {
  const ConvShape& s = p.shape;
  const PackedS8View packed = view_packed(p.packed);
  const Span rows = rows_of(p.range, s);
  const int64_t width = is_flat(s) ? 1 : s.out_w;  // pixels of a row of work
  for (int64_t pixel = rows.begin * width; pixel < rows.end * width; ++pixel) {
    const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h;
    const int64_t n = pixel / (s.out_w * s.out_h);
    for (int64_t c = 0; c < s.out_c; ++c)
      store_value(p, packed, accumulate(p, packed, n, oy, ox, c), pixel, c, c);
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ConvS8Functions name;
#include "kernels/dw_s8/kernels.def"
#undef LAPIDARY_KERNEL

const ConvS8Functions dw_s8_scalar = {packed_bytes, no_scratch, blocks, pack, run};

std::span<const ConvS8Kernel> dw_s8_kernels() {
  static const ConvS8Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"dw_s8", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/dw_s8/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> dw_s8_rows() { return rows_of(dw_s8_kernels()); }

Choice<ConvS8Kernel> select_dw_s8(const ConvShape& shape) {
  LAPIDARY_CHECK(is_depthwise(shape));
  return choose(dw_s8_kernels());
}

}  // namespace lapidary::kernels
