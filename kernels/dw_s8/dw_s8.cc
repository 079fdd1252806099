#include "kernels/dw_s8/dw_s8.h"

#include "kernels/conv_s8/scalar.h"
#include "kernels/dw_s8/pack.h"
#include "kernels/work.h"
#include "src/base/fail.h"

namespace lapidary::kernels {

namespace {

PackedS8Layout vector_layout(const ConvShape& s, int64_t lanes, int64_t taps) {
  const int64_t block_bytes = s.kernel_w * ceil_div(s.kernel_h, taps) * lanes * 4;
  return {.groups = 1,
          .group_stride = round_up(s.out_c, 16),
          .weight_bytes = static_cast<size_t>(ceil_div(s.out_c, lanes) * block_bytes)};
}

template <class T>
void pack_vectors(const ConvShape& s, const WeightS8Reader& weight, int64_t lanes, int64_t taps,
                  UnitOrder order, T* to) {
  const bool by_tap = order == UnitOrder::kElements;
  const int64_t lane_step = by_tap ? 1 : taps, tap_step = by_tap ? lanes : 1;
  for (int64_t c = 0; c < s.out_c; c += lanes)
    for (int64_t kx = 0; kx < s.kernel_w; ++kx)
      for (int64_t ky = 0; ky < s.kernel_h; ky += taps, to += lanes * taps)
        for (int64_t lane = 0; lane < lanes; ++lane)
          for (int64_t tap = 0; tap < taps; ++tap)
            if (c + lane < s.out_c && ky + tap < s.kernel_h)
              to[lane * lane_step + tap * tap_step] = weight(c + lane, 0, ky + tap, kx);
}

}  // namespace

size_t packed_dw_s8_bytes(const ConvShape& s, int64_t lanes, int64_t taps) {
  return packed_s8_bytes(vector_layout(s, lanes, taps));
}

void pack_dw_s8(const ConvShape& s, const ConvS8Weights& w, int64_t lanes, int64_t taps,
                void* packed, UnitOrder order) {
  pack_s8_head(s, w, vector_layout(s, lanes, taps), packed);
  int8_t* to = view_packed(packed).weights;
  const WeightS8Reader weight(s, w);
  if (taps == 4)
    pack_vectors(s, weight, lanes, taps, order, to);
  else
    pack_vectors(s, weight, lanes, taps, order, reinterpret_cast<int16_t*>(to));
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

Choice<ConvS8Kernel> select_dw_s8(const ConvShape& shape) {
  LAPIDARY_CHECK(is_depthwise(shape));
  return choose(dw_s8_kernels());
}

}  // namespace lapidary::kernels
