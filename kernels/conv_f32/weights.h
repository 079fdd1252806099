#pragma once

#include "kernels/conv_f32/conv_f32.h"
#include "kernels/igemm/plan.h"

namespace lapidary::kernels {

/// One weight of the graph.
struct WeightF32Reader {
  WeightF32Reader(const ConvShape& shape, const ConvF32Weights& weights);
  float operator()(int64_t oc, int64_t ic, int64_t ky, int64_t kx) const {
    return data[oc * oc_stride + ic * ic_stride + ky * kh_stride + kx * kw_stride];
  }
  const float* data;
  int64_t oc_stride, ic_stride, kh_stride, kw_stride;
};

/// bias[g * group_stride + c] of channel c of group g (OC/groups channels each), 0 where there is
/// none.
void pack_f32_bias(int64_t out_c, int64_t groups, int64_t group_stride, const float* bias,
                   float* to);

/// Bias, then weights as igemm/plan.h orders them.
size_t packed_f32_igemm_bytes(const ConvShape& shape, const IgemmTraits& traits);
void pack_f32_igemm(const ConvShape& shape, const ConvF32Weights& weights,
                    const IgemmTraits& traits, void* packed);

}  // namespace lapidary::kernels
