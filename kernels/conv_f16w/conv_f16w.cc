#include "kernels/conv_f16w/conv_f16w.h"

#include <bit>
#include <cstring>

#include "kernels/conv_f16w/pack.h"
#include "kernels/conv_f32/scalar.h"
#include "kernels/conv_f32/weights.h"
#include "kernels/families.h"
#include "src/base/half.h"

namespace lapidary::kernels {

void pack_f16w_igemm(const ConvShape& s, const ConvF32Weights& w, const IgemmTraits& t,
                     void* packed) {
  const IgemmPlan p = igemm_plan(s, t);
  std::memset(packed, 0, packed_f32_igemm_bytes(s, t));
  float* bias = static_cast<float*>(packed);
  pack_f32_bias(s.out_c, s.groups, p.group_stride, w.bias, bias);
  auto* to = reinterpret_cast<uint16_t*>(bias + s.groups * p.group_stride);
  const WeightF32Reader weight(s, w);
  const int64_t nr = p.nv * t.lanes, ic_count = s.in_c / s.groups;
  for (int64_t g = 0; g < s.groups; ++g) {
    for (int64_t c = 0; c < p.group_c; c += nr) {
      const int64_t channels = at_most(nr, p.group_c - c);
      for (int64_t ky = 0; ky < s.kernel_h; ++ky)
        for (int64_t kx = 0; kx < s.kernel_w; ++kx)
          for (int64_t ic = 0; ic < ic_count; ++ic, to += nr)
            for (int64_t lane = 0; lane < channels; ++lane)
              to[lane] = to_half(weight(g * p.group_c + c + lane, ic, ky, kx)).bits;
    }
  }
}

bool fits_f16(const float* values, int64_t count) {
  for (int64_t begin = 0; begin < count; begin += 1024) {
    bool all = true;
    for (int64_t i = begin; i < at_most(count, begin + 1024); ++i)
      all &= std::bit_cast<uint32_t>(from_half(to_half(values[i]))) ==
             std::bit_cast<uint32_t>(values[i]);
    if (!all) return false;
  }
  return true;
}

namespace {

void pack(const ConvShape& s, const ConvF32Weights& w, void* packed) {
  scalar_conv_f32().pack(s, w, packed);
  for (float& v : scalar_weights(s, packed)) v = from_half(to_half(v));
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const ConvF32Functions name;
#include "kernels/conv_f16w/kernels.def"
#undef LAPIDARY_KERNEL

const ConvF32Functions conv_f16w_scalar = {
    [](const ConvShape& s) { return scalar_conv_f32().packed_bytes(s); },
    [](const ConvShape& s) { return scalar_conv_f32().scratch_bytes(s); },
    [](const ConvShape& s) { return scalar_conv_f32().blocks(s); }, pack,
    [](const ConvF32Args& p) { scalar_conv_f32().run(p); }};

std::span<const ConvF32Kernel> conv_f16w_kernels() {
  static const ConvF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"conv_f16w", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/conv_f16w/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> conv_f16w_rows() { return rows_of(conv_f16w_kernels()); }

Choice<ConvF32Kernel> select_conv_f16w(const ConvShape&) { return choose(conv_f16w_kernels()); }

}  // namespace lapidary::kernels
