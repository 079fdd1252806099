#include "kernels/conv_bf16/conv_bf16.h"

#include <cmath>
#include <cstring>

#include "kernels/conv_bf16/pack.h"
#include "kernels/conv_f32/scalar.h"
#include "kernels/conv_f32/weights.h"
#include "kernels/families.h"
#include "src/base/half.h"

namespace lapidary::kernels {

namespace {

BFloat16 rounded(float v) {
  return std::abs(v) < 0x1p-126f ? to_bfloat16(std::copysign(0.0f, v)) : to_bfloat16(v);
}

}  // namespace

void pack_bf16_igemm(const ConvShape& s, const ConvF32Weights& w, const IgemmTraits& t,
                     void* packed) {
  const ConvShape pairs = in_pairs(s);
  const IgemmPlan p = igemm_plan(pairs, t);
  std::memset(packed, 0, packed_f32_igemm_bytes(pairs, t));
  float* bias = static_cast<float*>(packed);
  pack_f32_bias(s.out_c, s.groups, p.group_stride, w.bias, bias);
  auto* to = reinterpret_cast<uint16_t*>(bias + s.groups * p.group_stride);
  const WeightF32Reader weight(s, w);
  const int64_t nr = p.nv * t.lanes, ic_count = s.in_c / s.groups;
  const int64_t pixel = pairs.in_c / s.groups, segment = p.units * 2 * nr;
  for (int64_t g = 0; g < s.groups; ++g)
    for (int64_t c = 0; c < p.group_c; c += nr)
      for (int64_t ky = 0; ky < p.segments_y; ++ky)
        for (int64_t kx = 0; kx < p.segments_x; ++kx, to += segment)
          for (int64_t e = 0; e < p.segment_elements; ++e) {
            const int64_t ic = e % pixel, tap = kx + e / pixel;
            if (ic >= ic_count) continue;
            uint16_t* unit = to + e / 2 * 2 * nr + e % 2;
            for (int64_t lane = 0; lane < at_most(nr, p.group_c - c); ++lane)
              unit[2 * lane] = rounded(weight(g * p.group_c + c + lane, ic, ky, tap)).bits;
          }
}

// The scalar row: conv_f32's on rounded operands.
namespace {

int64_t input_size(const ConvShape& s) { return s.batch * s.in_h * s.in_w * s.in_c; }

size_t scratch_bytes(const ConvShape& s) {
  return static_cast<size_t>(input_size(s)) * sizeof(float) + 64;
}

void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
  scalar_conv_f32().pack(s, w, packed);
  for (float& v : scalar_weights(s, packed)) v = from_bfloat16(rounded(v));
}

void run(const ConvF32Args& p) {
  ConvF32Args on_rounded = p;
  float* x = static_cast<float*>(p.scratch);
  for (int64_t i = 0; i < input_size(p.shape); ++i) x[i] = from_bfloat16(rounded(p.x[i]));
  on_rounded.x = x;
  scalar_conv_f32().run(on_rounded);
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ConvF32Functions name;
#include "kernels/conv_bf16/kernels.def"
#undef LAPIDARY_KERNEL

const ConvF32Functions conv_bf16_scalar = {
    [](const ConvShape& s) { return scalar_conv_f32().packed_bytes(s); }, scratch_bytes,
    [](const ConvShape& s) { return scalar_conv_f32().blocks(s); }, pack, run};

std::span<const ConvF32Kernel> conv_bf16_kernels() {
  static const ConvF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"conv_bf16", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/conv_bf16/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> conv_bf16_rows() { return rows_of(conv_bf16_kernels()); }

Choice<ConvF32Kernel> select_conv_bf16(const ConvShape& s) {
  const bool whole_pairs = s.groups == 1 || s.in_c / s.groups % 2 == 0;
  return choose(conv_bf16_kernels(), [&](const ConvF32Kernel&) {
    return whole_pairs ? "" : "groups of an odd number of channels";
  });
}

}  // namespace lapidary::kernels
