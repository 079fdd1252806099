#pragma once

#include "kernels/conv_b1/conv_b1.h"
#include "kernels/igemm/plan.h"

namespace lapidary::kernels {

/// The head of packed binary weights; four arrays of `stride` values follow it, then, where the
/// shape is padded, sums of weights, then the weights as words, whose order is the row's own.
struct PackedB1 {
  int64_t out_c = 0;
  int64_t stride = 0;    ///< out_c rounded up to 64
  int64_t products = 0;  ///< KH * KW * IC
  int64_t has_sums = 0;
  int64_t kernel_h = 0, kernel_w = 0;
  int64_t reserved[2] = {};
};
static_assert(sizeof(PackedB1) == 64);

/// The convolution of the words of x: in_c counts words of 32 channels.
constexpr ConvShape in_words(ConvShape s) {
  s.in_c = b1_words(s.in_c);
  return s;
}

/// Bytes before the weights.
size_t packed_b1_head_bytes(const ConvShape& shape);
/// Writes what stands before the weights.
void pack_b1_head(const ConvShape& shape, const ConvB1Weights& weights, void* packed);

/// One word of weights of the graph: channels 32 * word .. of tap (ky, kx), 1 past the last.
struct WeightB1Reader {
  WeightB1Reader(const ConvShape& shape, const ConvB1Weights& weights);
  bool positive(int64_t oc, int64_t ic, int64_t ky, int64_t kx) const {
    return data[oc * oc_stride + ic * ic_stride + ky * kh_stride + kx * kw_stride] >= 0;
  }
  uint32_t word(int64_t oc, int64_t word, int64_t ky, int64_t kx) const;

  const float* data;
  int64_t in_c, oc_stride, ic_stride, kh_stride, kw_stride;
};

/// The same for an implicit GEMM: words as igemm/plan.h orders them, a word a unit.
size_t packed_b1_igemm_bytes(const ConvShape& shape, const IgemmTraits& traits);
void pack_b1_igemm(const ConvShape& shape, const ConvB1Weights& weights, const IgemmTraits& traits,
                   void* packed);

namespace {

struct PackedB1View {
  const PackedB1* head;
  float *scale, *shift;
  /// The bit of channel c is (acc ^ flips[c]) >= thresholds[c]: flips is 0 or, where a greater acc
  /// has bit 0, -1.
  int32_t *thresholds, *flips;
  /// [KH + 1][KW + 1][stride]: at (a, b) the sums of the weights of taps ky < a, kx < b.
  int32_t* sums;
  uint32_t* weights;  ///< 64-byte aligned
};

[[maybe_unused]] inline PackedB1View view_packed_b1(const void* packed) {
  PackedB1View v;
  v.head = static_cast<const PackedB1*>(packed);
  const int64_t stride = v.head->stride;
  v.scale = reinterpret_cast<float*>(static_cast<char*>(const_cast<void*>(packed)) + 64);
  v.shift = v.scale + stride;
  v.thresholds = reinterpret_cast<int32_t*>(v.scale + 2 * stride);
  v.flips = v.thresholds + stride;
  v.sums = v.flips + stride;
  const int64_t corners = (v.head->kernel_h + 1) * (v.head->kernel_w + 1);
  v.weights = reinterpret_cast<uint32_t*>(v.sums + (v.head->has_sums != 0 ? corners * stride : 0));
  return v;
}

/// Filter taps [begin, end) of an axis that meet the image at output coordinate `o`.
struct TapRange {
  int64_t begin, end;
};
[[maybe_unused]] inline TapRange taps_inside(int64_t o, int64_t stride, int64_t pad,
                                             int64_t dilation, int64_t in, int64_t kernel) {
  const int64_t outside = pad - o * stride;  // input coordinates before the image
  const auto first = [&](int64_t at) __attribute__((always_inline)) {  // tap at or behind `at`
    if (at <= 0) return int64_t{0};
    return at > (kernel - 1) * dilation ? kernel : up_to(at, dilation);
  };
  return {first(outside), first(outside + in)};
}

}  // namespace
}  // namespace lapidary::kernels
