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

}  // namespace lapidary::kernels
