#include "kernels/conv_b1/packed.h"

#include <cstring>

namespace lapidary::kernels {

WeightB1Reader::WeightB1Reader(const ConvShape& s, const ConvB1Weights& w)
    : data(w.data),
      in_c(s.in_c),
      oc_stride(w.oc_stride),
      ic_stride(w.ic_stride),
      kh_stride(w.kh_stride),
      kw_stride(w.kw_stride) {
  if (oc_stride != 0 || ic_stride != 0 || kh_stride != 0 || kw_stride != 0) return;
  kw_stride = 1;
  kh_stride = s.kernel_w;
  ic_stride = s.kernel_h * s.kernel_w;
  oc_stride = s.in_c * ic_stride;
}

uint32_t WeightB1Reader::word(int64_t oc, int64_t word, int64_t ky, int64_t kx) const {
  uint32_t bits = ~uint32_t{0};
  for (int64_t ic = 32 * word; ic < at_most(32 * word + 32, in_c); ++ic)
    if (!positive(oc, ic, ky, kx)) bits ^= uint32_t{1} << (ic % 32);
  return bits;
}

namespace {

int64_t stride_of(const ConvShape& s) { return up_to(s.out_c, 64) * 64; }

/// Sums of weights over rectangles of taps from tap (0, 0) on.
void sum_taps(const ConvShape& s, const WeightB1Reader& weight, const PackedB1View& view) {
  const int64_t stride = view.head->stride, line = (s.kernel_w + 1) * stride;
  for (int64_t oc = 0; oc < s.out_c; ++oc) {
    for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
        int32_t sum = 0;
        for (int64_t ic = 0; ic < s.in_c; ++ic) sum += weight.positive(oc, ic, ky, kx) ? 1 : -1;
        int32_t* at = view.sums + (ky + 1) * line + (kx + 1) * stride + oc;
        *at = sum + at[-stride] + at[-line] - at[-line - stride];
      }
    }
  }
}

}  // namespace

size_t packed_b1_head_bytes(const ConvShape& s) {
  const int64_t corners = is_padded(s) ? (s.kernel_h + 1) * (s.kernel_w + 1) : 0;
  return sizeof(PackedB1) + static_cast<size_t>((4 + corners) * stride_of(s)) * 4;
}

void pack_b1_head(const ConvShape& s, const ConvB1Weights& w, void* packed) {
  const PackedB1 head = {.out_c = s.out_c,
                         .stride = stride_of(s),
                         .products = s.kernel_h * s.kernel_w * s.in_c,
                         .has_sums = is_padded(s) ? 1 : 0,
                         .kernel_h = s.kernel_h,
                         .kernel_w = s.kernel_w};
  std::memset(packed, 0, packed_b1_head_bytes(s));
  std::memcpy(packed, &head, sizeof head);
  const PackedB1View view = view_packed_b1(packed);
  for (int64_t c = 0; c < s.out_c; ++c) view.scale[c] = 1;  // its bit: acc >= 0
  if (head.has_sums != 0) sum_taps(s, WeightB1Reader(s, w), view);
}

size_t packed_b1_igemm_bytes(const ConvShape& s, const IgemmTraits& t) {
  const IgemmPlan p = igemm_plan(in_words(s), t);
  return packed_b1_head_bytes(s) + static_cast<size_t>(p.group_blocks * p.block_bytes);
}

void pack_b1_igemm(const ConvShape& s, const ConvB1Weights& w, const IgemmTraits& t, void* packed) {
  const IgemmPlan p = igemm_plan(in_words(s), t);
  pack_b1_head(s, w, packed);
  uint32_t* to = view_packed_b1(packed).weights;
  std::memset(to, 0, static_cast<size_t>(p.group_blocks * p.block_bytes));
  const WeightB1Reader weight(s, w);
  const int64_t nr = p.nv * t.lanes;
  for (int64_t c = 0; c < s.out_c; c += nr)
    for (int64_t ky = 0; ky < s.kernel_h; ++ky)
      for (int64_t kx = 0; kx < s.kernel_w; ++kx)
        for (int64_t word = 0; word < b1_words(s.in_c); ++word, to += nr)
          for (int64_t lane = 0; lane < at_most(nr, s.out_c - c); ++lane)
            to[lane] = weight.word(c + lane, word, ky, kx);
}

void set_affine(void* packed, const float* scale, const float* shift) {
  const PackedB1View view = view_packed_b1(packed);
  const int64_t most = view.head->products;
  for (int64_t c = 0; c < view.head->out_c; ++c) {
    view.scale[c] = scale[c];
    view.shift[c] = shift[c];
    // Both roundings are monotone: the bit changes once, at the first acc whose bit is `rising`.
    const bool rising = scale[c] >= 0;
    const auto changed = [&](int64_t acc) {
      return (static_cast<float>(acc) * scale[c] + shift[c] >= 0) == rising;
    };
    int64_t low = -most, high = most + 1;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (changed(middle))
        high = middle;
      else
        low = middle + 1;
    }
    // Falling: acc < low, which is (acc ^ -1) = -acc - 1 >= -low.
    view.flips[c] = rising ? 0 : -1;
    view.thresholds[c] = static_cast<int32_t>(rising ? low : -low);
  }
}

}  // namespace lapidary::kernels
