#pragma once

#include "kernels/conv_b1/packed.h"
#include "kernels/igemm/run.h"

namespace lapidary::kernels {
namespace {

/// Which of the filter's taps meet the image, output pixel after output pixel.
class TapsB1 {
 public:
  TapsB1(const ConvB1Args& p, const PackedB1View& packed, int64_t pixel)
      : s_(p.shape), packed_(packed) {
    counted_ = packed.head->has_sums != 0 && p.padding == ConvB1Padding::kZero;
    if (!counted_) return;
    ox_ = pixel % s_.out_w;
    oy_ = pixel / s_.out_w % s_.out_h;
    find_y();
    find_x();
  }
  /// True where some product of the pixel does not count.
  bool outside() const { return outside_; }
  /// The sums of the weights of those products: vector of channels `at`.
  template <class V>
  __attribute__((always_inline)) inline typename V::I sum(int64_t at) const {
    const int64_t stride = packed_.head->stride, line = (s_.kernel_w + 1) * stride;
    const int32_t* sums = packed_.sums + at;
    const auto corner = [&](int64_t y, int64_t x) { return V::load(sums + y * line + x * stride); };
    const auto inside = V::add(V::sub(corner(y_.end, x_.end), corner(y_.begin, x_.end)),
                               V::sub(corner(y_.begin, x_.begin), corner(y_.end, x_.begin)));
    return V::sub(corner(s_.kernel_h, s_.kernel_w), inside);
  }
  void next() {
    if (!counted_) return;
    if (++ox_ == s_.out_w) {
      ox_ = 0;
      if (++oy_ == s_.out_h) oy_ = 0;
      find_y();
    }
    find_x();
  }

 private:
  void find_y() {
    y_ = taps_inside(oy_, s_.stride_h, s_.pad_top, s_.dilation_h, s_.in_h, s_.kernel_h);
    row_outside_ = y_.begin > 0 || y_.end < s_.kernel_h;
  }
  void find_x() {
    x_ = taps_inside(ox_, s_.stride_w, s_.pad_left, s_.dilation_w, s_.in_w, s_.kernel_w);
    outside_ = row_outside_ || x_.begin > 0 || x_.end < s_.kernel_w;
  }

  const ConvShape& s_;
  const PackedB1View& packed_;
  bool counted_ = false, row_outside_ = false, outside_ = false;
  int64_t ox_ = 0, oy_ = 0;
  TapRange y_ = {0, 0}, x_ = {0, 0};
};

/// The bits of channels `channel`.. of a pixel whose words start at `words`. Tiles start at whole
/// bytes, and only the last one of a pixel ends elsewhere: it fills the pixel's last word up.
template <int kBits>
LAPIDARY_INLINE void store_bits(int64_t channel, int64_t channels, int64_t out_c, uint64_t bits,
                                uint32_t* words) {
  char* to = reinterpret_cast<char*>(words) + channel / 8;
  if (kBits % 8 == 0 && channels == kBits && (channel + kBits) % 32 == 0) {
    memcpy(to, &bits, kBits / 8);
    return;
  }
  const bool last = channel + channels == out_c;
  if (last && channels < 64) bits |= ~uint64_t{0} << channels;
  const int64_t end = last ? b1_words(out_c) * 4 : (channel + channels) / 8;
  memcpy(to, &bits, static_cast<size_t>(end - channel / 8));
}

/// What becomes of the counts of different signs, [pixels][NV * lanes].
template <class V, int NV, ConvB1Output kOutput>
LAPIDARY_INLINE void store_counts(const IgemmTile& t, int64_t pixels, const int32_t* counts) {
  using I = typename V::I;
  const auto& p = *static_cast<const ConvB1Args*>(t.args);
  const PackedB1View packed = view_packed_b1(p.packed);
  constexpr bool kBits = kOutput == ConvB1Output::kBits;
  const int64_t out_c = p.shape.out_c, at = t.at, channel = t.channel, channels = t.channels;
  const int64_t stride = p.y_stride > 0 ? p.y_stride : (kBits ? b1_words(out_c) : out_c);
  const I products = V::set(static_cast<int32_t>(packed.head->products));
  I thresholds[NV], flips[NV];
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    thresholds[v] = V::load(packed.thresholds + at + v * V::kLanes);
    flips[v] = V::load(packed.flips + at + v * V::kLanes);
  }
  TapsB1 taps(p, packed, t.pixel);
  int64_t row = t.pixel * stride;
  for (int64_t m = 0; m < pixels; ++m, row += stride, taps.next()) {
    I acc[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v, counts += V::kLanes) {
      const I count = V::load(counts);
      acc[v] = V::sub(products, V::add(count, count));
    }
    if (taps.outside())
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v)
        acc[v] = V::sub(acc[v], taps.template sum<V>(at + v * V::kLanes));
    if constexpr (kBits) {
      uint64_t bits = 0;
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v)
        bits |= uint64_t{V::at_least_bits(V::bit_xor(acc[v], flips[v]), thresholds[v])}
                << (v * V::kLanes);
      store_bits<NV * V::kLanes>(channel, channels, out_c, bits, static_cast<uint32_t*>(p.y) + row);
      continue;
    }
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      const int64_t first = v * V::kLanes, y_at = row + channel + first;
      if constexpr (kOutput == ConvB1Output::kI32)
        V::store(static_cast<int32_t*>(p.y) + y_at, acc[v], channels - first);
      if constexpr (kOutput == ConvB1Output::kF32)
        V::store(static_cast<float*>(p.y) + y_at,
                 V::add(V::mul(V::to_float(acc[v]), V::load(packed.scale + at + first)),
                        V::load(packed.shift + at + first)),
                 channels - first);
    }
  }
}

template <class V, int NV>
__attribute__((noinline)) void finish_counts(const IgemmTile& t, int64_t pixels,
                                             const int32_t* counts) {
  switch (static_cast<const ConvB1Args*>(t.args)->output) {
    case ConvB1Output::kI32:
      return store_counts<V, NV, ConvB1Output::kI32>(t, pixels, counts);
    case ConvB1Output::kF32:
      return store_counts<V, NV, ConvB1Output::kF32>(t, pixels, counts);
    case ConvB1Output::kBits:
      return store_counts<V, NV, ConvB1Output::kBits>(t, pixels, counts);
  }
}

/// A word a unit; accumulators count different signs, a channel a lane.
template <class V>
struct PolicyB1 {
  using Vec = typename V::I;
  using Source = uint32_t;
  using Element = uint32_t;
  static constexpr IgemmTraits kTraits = {.lanes = V::kLanes,
                                          .registers = V::kLanes == 8 ? 16 : 32,
                                          .unit = 1,
                                          .source_bytes = 4,
                                          .element_bytes = 4};
  LAPIDARY_INLINE Vec load(const char* p) { return V::load(reinterpret_cast<const int32_t*>(p)); }
  LAPIDARY_INLINE Vec broadcast(const char* p) {
    int32_t word;
    memcpy(&word, p, 4);
    return V::set(word);
  }
  LAPIDARY_INLINE Vec none() { return V::set(0); }
  LAPIDARY_INLINE Vec different(Vec x, Vec w) { return V::bit_xor(x, w); }
  template <int MR, int NV>
  LAPIDARY_INLINE void start(const IgemmTile&, Vec (&acc)[MR][NV]) {
#pragma GCC unroll 14
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[m][v] = none();
  }
  template <int MR, int NV>
  LAPIDARY_INLINE void finish(const IgemmTile& t, Vec (&acc)[MR][NV]) {
    alignas(64) int32_t counts[MR * NV * V::kLanes];
#pragma GCC unroll 14
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) V::store(counts + (m * NV + v) * V::kLanes, acc[m][v]);
    finish_counts<V, NV>(t, MR, counts);
  }
  static void convert(uint32_t* to, const uint32_t* from, int64_t count) {
    memcpy(to, from, static_cast<size_t>(count) * 4);
  }
  static void fill(uint32_t* to, uint32_t value, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] = value;
  }
};

template <class P>
struct ConvB1 {
  static size_t packed_bytes(const ConvShape& s) { return packed_b1_igemm_bytes(s, P::kTraits); }
  static size_t scratch_bytes(const ConvShape& s) {
    return igemm_scratch_bytes(in_words(s), P::kTraits);
  }
  static int64_t blocks(const ConvShape& s) {
    return igemm_plan(in_words(s), P::kTraits).group_blocks;
  }
  static void pack(const ConvShape& s, const ConvB1Weights& w, void* packed) {
    pack_b1_igemm(s, w, P::kTraits, packed);
  }
  static void run(const ConvB1Args& p) {
    const IgemmOperands operands = {
        .x = p.x,
        .weights = reinterpret_cast<const char*>(view_packed_b1(p.packed).weights),
        .scratch = p.scratch,
        .args = &p};
    run_igemm<P>(in_words(p.shape), p.range, operands, ~uint32_t{0});
  }
};

}  // namespace
}  // namespace lapidary::kernels
