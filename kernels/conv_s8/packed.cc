#include "kernels/conv_s8/packed.h"

#include <cmath>
#include <cstring>

namespace lapidary::kernels {

WeightS8Reader::WeightS8Reader(const ConvShape& s, const ConvS8Weights& w)
    : data(static_cast<const uint8_t*>(w.data)),
      flip(w.is_unsigned ? 0x80 : 0),
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

size_t packed_s8_bytes(const PackedS8Layout& layout) {
  return sizeof(PackedS8) + static_cast<size_t>(layout.groups * layout.group_stride) * 16 +
         layout.weight_bytes;
}

namespace {

// Sums wrap as the accumulators do. Weights are read in the order in which they lie.

uint32_t sum_of(const uint8_t* w, int64_t count, uint8_t flip) {
  uint32_t sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += static_cast<uint32_t>(static_cast<int8_t>(w[i] ^ flip));
  return sum;
}

void add_to(const uint8_t* w, int64_t count, uint8_t flip, int32_t* sums) {
  for (int64_t i = 0; i < count; ++i)
    sums[i] = static_cast<int32_t>(static_cast<uint32_t>(sums[i]) +
                                   static_cast<uint32_t>(static_cast<int8_t>(w[i] ^ flip)));
}

/// sums[at] += sum of w over the filter of output channel oc, where oc is kept.
void sum_filters(const ConvShape& s, const WeightS8Reader& weight, const PackedS8View& view) {
  const int64_t channels = s.in_c / s.groups, taps = s.kernel_h * s.kernel_w;
  const int64_t groups = view.head->groups, group_c = view.head->group_c;
  const bool filters_lie_whole =
      (channels == 1 || weight.ic_stride == taps) &&
      (taps == 1 || (weight.kw_stride == 1 && weight.kh_stride == s.kernel_w));
  for (int64_t g = 0; g < groups; ++g) {
    int32_t* sums = view.sums + g * view.head->group_stride;
    const uint8_t* first = weight.data + g * group_c * weight.oc_stride;
    for (int64_t c = 0; filters_lie_whole && c < group_c; ++c)
      sums[c] =
          static_cast<int32_t>(sum_of(first + c * weight.oc_stride, channels * taps, weight.flip));
    if (filters_lie_whole) continue;
    for (int64_t ic = 0; ic < channels; ++ic)
      for (int64_t ky = 0; ky < s.kernel_h; ++ky)
        for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
          const uint8_t* w =
              first + ic * weight.ic_stride + ky * weight.kh_stride + kx * weight.kw_stride;
          if (weight.oc_stride == 1)
            add_to(w, group_c, weight.flip, sums);
          else
            for (int64_t c = 0; c < group_c; ++c)
              add_to(w + c * weight.oc_stride, 1, weight.flip, sums + c);
        }
  }
}

}  // namespace

void pack_s8_head(const ConvShape& s, const ConvS8Weights& w, const PackedS8Layout& layout,
                  void* packed) {
  const PackedS8 head = {.groups = layout.groups,
                         .group_c = s.out_c / layout.groups,
                         .group_stride = layout.group_stride};
  std::memset(packed, 0, packed_s8_bytes(layout));
  std::memcpy(packed, &head, sizeof head);
  const PackedS8View view = view_packed(packed);
  sum_filters(s, WeightS8Reader(s, w), view);
  const auto filter = static_cast<uint32_t>(s.in_c / s.groups * s.kernel_h * s.kernel_w);
  for (int64_t oc = 0; oc < s.out_c; ++oc) {
    const int64_t at = oc / head.group_c * head.group_stride + oc % head.group_c;
    const int32_t zero = w.zero_points != nullptr ? w.zero_points[oc] : w.zero_point;
    view.zero_points[at] = zero - (w.is_unsigned ? 128 : 0);
    if (view.zero_points[at] != 0) static_cast<PackedS8*>(packed)->has_zero_points = 1;
    view.sums[at] = static_cast<int32_t>(static_cast<uint32_t>(view.sums[at]) -
                                         filter * static_cast<uint32_t>(view.zero_points[at]));
    view.multipliers[at] = 1.0f;
  }
}

namespace {

PackedS8Layout igemm_layout(const ConvShape& s, const IgemmPlan& p) {
  return {.groups = s.groups,
          .group_stride = p.group_stride,
          .weight_bytes = static_cast<size_t>(s.groups * p.group_blocks * p.block_bytes)};
}

/// One segment of one block, T = s8 or s16.
template <class T>
T* pack_segment(const ConvShape& s, const IgemmPlan& p, const IgemmTraits& t,
                const WeightS8Reader& weight, const int64_t* lane_at, int64_t oc, int64_t channels,
                int64_t ky, int64_t kx, T* to) {
  const int64_t ic_count = s.in_c / s.groups, nr = p.nv * t.lanes;
  for (int64_t e = 0; e < p.segment_elements; ++e) {
    const int64_t ic = e % ic_count, tap = kx + e / ic_count;
    T* unit = to + unit_offset(t, nr, e);
    for (int64_t lane = 0; lane < channels; ++lane)
      unit[lane_at[lane]] = weight(oc + lane, ic, ky, tap);
  }
  return to + p.units * nr * t.unit;
}

template <class T>
void pack_igemm(const ConvShape& s, const IgemmPlan& p, const IgemmTraits& t,
                const WeightS8Reader& weight, T* to) {
  const int64_t nr = p.nv * t.lanes;
  int64_t lane_at[64];
  for (int64_t lane = 0; lane < nr; ++lane) lane_at[lane] = lane_offset(t, nr, lane);
  for (int64_t g = 0; g < s.groups; ++g)
    for (int64_t c = 0; c < p.group_c; c += nr)
      for (int64_t ky = 0; ky < p.segments_y; ++ky)
        for (int64_t kx = 0; kx < p.segments_x; ++kx)
          to = pack_segment(s, p, t, weight, lane_at, g * p.group_c + c, at_most(nr, p.group_c - c),
                            ky, kx, to);
}

}  // namespace

size_t packed_s8_igemm_bytes(const ConvShape& s, const IgemmTraits& t) {
  return packed_s8_bytes(igemm_layout(s, igemm_plan(s, t)));
}

void pack_s8_igemm(const ConvShape& s, const ConvS8Weights& w, const IgemmTraits& t, void* packed) {
  const IgemmPlan p = igemm_plan(s, t);
  pack_s8_head(s, w, igemm_layout(s, p), packed);
  int8_t* to = view_packed(packed).weights;
  const WeightS8Reader weight(s, w);
  if (t.unit == 4)
    pack_igemm(s, p, t, weight, to);
  else
    pack_igemm(s, p, t, weight, reinterpret_cast<int16_t*>(to));
}

void shift_inputs(const ConvShape& s, int64_t input_shift, void* packed) {
  auto* head = static_cast<PackedS8*>(packed);
  head->input_shift = input_shift;
  head->filter_size = s.in_c / s.groups * s.kernel_h * s.kernel_w;
  set_bias(packed, nullptr, 0);
}

void set_bias(void* packed, const int32_t* bias, int x_zero) {
  const PackedS8View view = view_packed(packed);
  const int64_t group_c = view.head->group_c, stride = view.head->group_stride;
  const auto shift = static_cast<uint32_t>(view.head->input_shift);
  const auto filter = static_cast<uint32_t>(view.head->filter_size);
  for (int64_t oc = 0; oc < view.head->groups * group_c; ++oc) {
    const int64_t at = oc / group_c * stride + oc % group_c;
    const uint32_t own = bias != nullptr ? static_cast<uint32_t>(bias[oc]) : 0;
    const auto sum = static_cast<uint32_t>(view.sums[at]);
    // sum of the weights as they are, which the rows that multiply x - input_shift miss
    const uint32_t whole = sum + static_cast<uint32_t>(view.zero_points[at]) * filter;
    view.bias[at] = static_cast<int32_t>(own - static_cast<uint32_t>(x_zero) * sum + shift * whole);
  }
}

void set_multipliers(void* packed, const float* multipliers, int64_t count) {
  const PackedS8View view = view_packed(packed);
  const int64_t group_c = view.head->group_c, stride = view.head->group_stride;
  bool small = true;
  for (int64_t oc = 0; oc < view.head->groups * group_c; ++oc) {
    const float m = multipliers[count == 1 ? 0 : oc];
    view.multipliers[oc / group_c * stride + oc % group_c] = m;
    small &= std::fabs(m) < 1.0f;
  }
  static_cast<PackedS8*>(packed)->small_multipliers = small ? 1 : 0;
}

}  // namespace lapidary::kernels
