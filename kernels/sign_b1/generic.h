#pragma once

#include "kernels/sign_b1/sign_b1.h"
#include "kernels/simd.h"

namespace lapidary::kernels {
namespace {

template <class V>
struct SignB1 {
  static constexpr int64_t kLanes = V::kLanes;
  static constexpr int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
  /// The bits of a word past its first n channels.
  static constexpr uint32_t rest(int64_t n) { return n < 32 ? ~uint32_t{0} << n : 0; }

  static void run(const SignB1Args& p) {
    const int64_t end = p.end < 0 ? p.batch * p.pixels : p.end, words = b1_words(p.channels);
    uint32_t* y = p.y + p.begin * words;
    if (!p.planar) return pack_pixels(p.x + p.begin * p.channels, end - p.begin, p.channels, y);
    for (int64_t pixel = p.begin; pixel < end;) {
      const int64_t at = pixel % p.pixels, count = min(end - pixel, p.pixels - at);
      pack_planes(p.x + pixel / p.pixels * p.pixels * p.channels + at, p.pixels, count, p.channels,
                  y);
      y += count * words;
      pixel += count;
    }
  }

 private:
  /// Bits of n contiguous channels.
  LAPIDARY_INLINE uint32_t word(const float* x, int64_t n) {
    uint32_t bits = 0;
    for (int64_t c = 0; c < n; c += kLanes)
      bits |= V::at_least_bits(V::load(x + c), V::set(0.0f)) << c;
    return bits;
  }
  static void pack_pixels(const float* x, int64_t count, int64_t channels, uint32_t* y) {
    if (channels % 32 == 0) count *= channels / 32, channels = 32;
    for (int64_t i = 0; i < count; ++i) {
      int64_t left = channels;
      for (; left >= 32; left -= 32, x += 32) *y++ = word(x, 32);
      if (left == 0) continue;
      *y++ = word(x, left) | rest(left);
      x += left;
    }
  }

  /// `count` pixels of planes `plane` elements apart, a lane a pixel.
  static void pack_planes(const float* x, int64_t plane, int64_t count, int64_t channels,
                          uint32_t* y) {
    const int64_t words = b1_words(channels);
    for (int64_t w = 0; w < words; ++w, x += 32 * plane) {
      const int64_t n = min(32, channels - 32 * w);
      for (int64_t i = 0; i < count; i += kLanes) {
        auto bits = V::set(static_cast<int32_t>(rest(n)));
        for (int64_t c = 0; c < n; ++c)
          bits = V::or_at_least(bits, V::load(x + c * plane + i), V::set(0.0f),
                                V::set(static_cast<int32_t>(uint32_t{1} << c)));
        int32_t lanes[kLanes];
        V::store(lanes, bits);
        for (int64_t l = 0; l < min(kLanes, count - i); ++l)
          y[(i + l) * words + w] = static_cast<uint32_t>(lanes[l]);
      }
    }
  }
};

}  // namespace
}  // namespace lapidary::kernels
