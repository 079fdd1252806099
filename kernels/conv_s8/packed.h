#pragma once

#include "kernels/conv_s8/conv_s8.h"
#include "kernels/igemm/plan.h"

namespace lapidary::kernels {

/// The head of packed INT8 weights; four arrays of groups * group_stride values follow it (channel
/// c of group g is at g * group_stride + c), then the weights, whose layout is the row's own.
/// Weights are kept as s8: u8 ones, and their zero points, less 128.
struct PackedS8 {
  int64_t groups = 1;
  int64_t group_c = 0;            ///< OC / G
  int64_t group_stride = 0;       ///< group_c rounded up to the row's block, a multiple of 16
  int64_t has_zero_points = 0;    ///< 1 where some weight zero point (as s8) is not 0
  int64_t small_multipliers = 0;  ///< 1 where all |multipliers| < 1: acc * m stays within int32
  int64_t input_shift = 0;        ///< the row multiplies x - input_shift by the weights
  int64_t filter_size = 0;        ///< weights of an output channel; where input_shift is not 0
  int64_t reserved[1] = {};
};
static_assert(sizeof(PackedS8) == 64);

/// How a row lays its weights out.
struct PackedS8Layout {
  int64_t groups = 1;  ///< of the arrays: shape.groups, or 1 for depthwise
  int64_t group_stride = 0;
  size_t weight_bytes = 0;
};

/// One weight of the graph, as s8.
struct WeightS8Reader {
  WeightS8Reader(const ConvShape& shape, const ConvS8Weights& weights);
  int8_t operator()(int64_t oc, int64_t ic, int64_t ky, int64_t kx) const {
    const int64_t at = oc * oc_stride + ic * ic_stride + ky * kh_stride + kx * kw_stride;
    return static_cast<int8_t>(data[at] ^ flip);
  }
  const uint8_t* data;
  uint8_t flip;  ///< 0x80 for u8: w - 128
  int64_t oc_stride, ic_stride, kh_stride, kw_stride;
};

size_t packed_s8_bytes(const PackedS8Layout& layout);
/// Writes the head and the arrays: zero points, sums of w - zw, bias 0, multipliers 1.
void pack_s8_head(const ConvShape& shape, const ConvS8Weights& weights,
                  const PackedS8Layout& layout, void* packed);

/// The same for an implicit GEMM: weights as igemm/plan.h orders them, s8 in units of 4, s16 in
/// units of 2.
size_t packed_s8_igemm_bytes(const ConvShape& shape, const IgemmTraits& traits);
void pack_s8_igemm(const ConvShape& shape, const ConvS8Weights& weights, const IgemmTraits& traits,
                   void* packed);

/// For rows that multiply x - input_shift: after either packing. x_zero and sums of inputs stay
/// what they are elsewhere.
void shift_inputs(const ConvShape& shape, int64_t input_shift, void* packed);

namespace {

struct PackedS8View {
  const PackedS8* head;
  int32_t* bias;  ///< bias[c] - zx * sum(w - zw)
  float* multipliers;
  int32_t* zero_points;  ///< of the weights as s8
  int32_t* sums;         ///< sum(w - zw) over the filter
  int8_t* weights;       ///< 64-byte aligned
};

[[maybe_unused]] inline PackedS8View view_packed(const void* packed) {
  PackedS8View v;
  v.head = static_cast<const PackedS8*>(packed);
  const int64_t count = v.head->groups * v.head->group_stride;
  v.bias = reinterpret_cast<int32_t*>(static_cast<char*>(const_cast<void*>(packed)) + 64);
  v.multipliers = reinterpret_cast<float*>(v.bias + count);
  v.zero_points = v.bias + 2 * count;
  v.sums = v.bias + 3 * count;
  v.weights = reinterpret_cast<int8_t*>(v.bias + 4 * count);
  return v;
}

}  // namespace
}  // namespace lapidary::kernels
