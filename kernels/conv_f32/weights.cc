#include "kernels/conv_f32/weights.h"

#include <cstring>

namespace lapidary::kernels {

WeightF32Reader::WeightF32Reader(const ConvShape& s, const ConvF32Weights& w)
    : data(w.data),
      oc_stride(w.oc_stride),
      ic_stride(w.ic_stride),
      kh_stride(w.kh_stride),
      kw_stride(w.kw_stride) {
  if (oc_stride != 0 || ic_stride != 0 || kh_stride != 0 || kw_stride != 0) return;
  kw_stride = 1;
  kh_stride = s.kernel_w;
  ic_stride = s.kernel_h * s.kernel_w;
  oc_stride = s.in_c / s.groups * ic_stride;
}

void pack_f32_bias(int64_t out_c, int64_t groups, int64_t group_stride, const float* bias,
                   float* to) {
  const int64_t group_c = out_c / groups;
  std::memset(to, 0, static_cast<size_t>(groups * group_stride) * sizeof(float));
  if (bias == nullptr) return;
  for (int64_t oc = 0; oc < out_c; ++oc) to[oc / group_c * group_stride + oc % group_c] = bias[oc];
}

size_t packed_f32_igemm_bytes(const ConvShape& s, const IgemmTraits& t) {
  const IgemmPlan p = igemm_plan(s, t);
  return static_cast<size_t>(s.groups * (p.group_stride * 4 + p.group_blocks * p.block_bytes));
}

void pack_f32_igemm(const ConvShape& s, const ConvF32Weights& w, const IgemmTraits& t,
                    void* packed) {
  const IgemmPlan p = igemm_plan(s, t);
  std::memset(packed, 0, packed_f32_igemm_bytes(s, t));
  float* to = static_cast<float*>(packed);
  pack_f32_bias(s.out_c, s.groups, p.group_stride, w.bias, to);
  to += s.groups * p.group_stride;
  const WeightF32Reader weight(s, w);
  const int64_t nr = p.nv * t.lanes, ic_count = s.in_c / s.groups;
  for (int64_t g = 0; g < s.groups; ++g) {
    for (int64_t c = 0; c < p.group_c; c += nr) {
      const int64_t channels = at_most(nr, p.group_c - c);
      for (int64_t ky = 0; ky < s.kernel_h; ++ky)
        for (int64_t kx = 0; kx < s.kernel_w; ++kx)
          for (int64_t ic = 0; ic < ic_count; ++ic, to += nr)
            for (int64_t lane = 0; lane < channels; ++lane)
              to[lane] = weight(g * p.group_c + c + lane, ic, ky, kx);
    }
  }
}

}  // namespace lapidary::kernels
