#pragma once

#include "kernels/conv_s8/generic.h"
#include "kernels/depthwise/run.h"
#include "kernels/dw_s8/pack.h"

// AVX512-VNNI: 64 channels at a time. Four lines are interleaved to [channel][line] by unpacking
// bytes, then words, within 16-byte lanes; saturating packs undo that order, so that neither needs
// a permutation across lanes. Part j of such a vector holds channel 16l + 4j + i at dword 4l + i.
namespace lapidary::kernels {
namespace {

struct DwWide {
  static constexpr int64_t kChannels = 64;

  /// parts[j] = [channel][lines 0..R-1, 0..] of 64 channels at that offset.
  template <int R>
  LAPIDARY_INLINE void column(const char* const* lines, int64_t at, __m512i (&parts)[4]) {
    const __m512i none = _mm512_setzero_si512();
    const __m512i a = load(lines[0] + at), b = R > 1 ? load(lines[1] + at) : none;
    const __m512i c = R > 2 ? load(lines[2] + at) : none, d = R > 3 ? load(lines[3] + at) : none;
    const __m512i ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
    const __m512i cd_low = R > 2 ? _mm512_unpacklo_epi8(c, d) : none;
    const __m512i cd_high = R > 2 ? _mm512_unpackhi_epi8(c, d) : none;
    parts[0] = _mm512_unpacklo_epi16(ab_low, cd_low);
    parts[1] = _mm512_unpackhi_epi16(ab_low, cd_low);
    parts[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
    parts[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
  }

  /// Each column is interleaved once and serves every output whose window holds it.
  template <int K, int S, int T, bool kEdge>
  LAPIDARY_INLINE void accumulate(const DwLine& line, int64_t m, const char* w,
                                  __m512i (&acc)[T][4]) {
    constexpr int kGroups = (K + 3) / 4;
    const int64_t ix = line.ix + m * S * line.step;
#pragma GCC unroll 16
    for (int x = 0; x < (T - 1) * S + K; ++x) {
      const int64_t at = ix + x * line.step;
      const bool outside = kEdge && (at < 0 || at >= line.in_w);
#pragma GCC unroll 2
      for (int g = 0; g < kGroups; ++g) {
        __m512i inputs[4];
        if (outside) {
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j) inputs[j] = _mm512_set1_epi8(static_cast<char>(line.fill));
        } else if (K - 4 * g >= 4) {
          column<4>(line.lines + 4 * g, at * line.pixel_bytes, inputs);
        } else {
          column<K % 4>(line.lines + 4 * g, at * line.pixel_bytes, inputs);
        }
#pragma GCC unroll 4
        for (int o = 0; o < T; ++o) {
          const int kx = x - o * S;
          if (kx < 0 || kx >= K) continue;
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j)
            acc[o][j] = _mm512_dpbusd_epi32(acc[o][j], inputs[j],
                                            load(w + ((kx * kGroups + g) * 4 + j) * 64));
        }
      }
    }
  }

  template <int K, int S>
  static void square(const DwLine& line, const IgemmTile& t) {
    const auto& p = *static_cast<const ConvS8Args*>(t.args);
    const PackedS8View packed = view_packed(p.packed);
    const int64_t pixel_stride = p.y_stride > 0 ? p.y_stride : p.shape.out_c;
    __m512i bias[4];
    __m512 multipliers[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      bias[j] = part(packed.bias + t.at, j);
      multipliers[j] =
          _mm512_castsi512_ps(part(reinterpret_cast<const int32_t*>(packed.multipliers + t.at), j));
    }
    const Store store(p, t.channels);
    uint8_t* y = static_cast<uint8_t*>(p.y) + t.pixel * pixel_stride + t.channel;
    each_dw_tile<K, S>(line, [&]<int T, bool kEdge>(int64_t m) {
      __m512i acc[T][4];
#pragma GCC unroll 4
      for (int o = 0; o < T; ++o)
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) acc[o][j] = bias[j];
      accumulate<K, S, T, kEdge>(line, m, t.w, acc);
#pragma GCC unroll 4
      for (int o = 0; o < T; ++o) {
        const int64_t pixel = (m + o) * line.step;
        if (p.output == ConvS8Output::kU8) {
          store(y + pixel * pixel_stride, acc[o], multipliers);
        } else {
          // A copy: accumulators whose address is taken would live in memory.
          const __m512i words[4] = {acc[o][0], acc[o][1], acc[o][2], acc[o][3]};
          store_words(t, pixel, words);
        }
      }
    });
  }

  /// Bytes of scratch that `narrow` needs: the filter's input lines with their padding, and a blank
  /// one.
  static size_t narrow_scratch_bytes(const ConvShape& s) {
    return static_cast<size_t>((s.kernel_h + 1) * line_bytes(s));
  }

  /// Where a few pixels of all channels make 64 bytes, those are the lanes: u8 results of a line
  /// are as many bytes in a row, tap kx of which is kx pixels further on.
  static void narrow(const ConvShape& s, const WorkRange& range, const IgemmOperands& o, int fill) {
    constexpr int K = 3;
    const auto& p = *static_cast<const ConvS8Args*>(o.args);
    const PackedS8View packed = view_packed(p.packed);
    alignas(64) int32_t bias_of[64], multiplier_of[64];
    for (int64_t i = 0; i < 64; ++i) {
      bias_of[i] = packed.bias[i % s.out_c];
      memcpy(multiplier_of + i, packed.multipliers + i % s.out_c, 4);
    }
    __m512i bias[4];
    __m512 multipliers[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      bias[j] = part(bias_of, j);
      multipliers[j] = _mm512_castsi512_ps(part(multiplier_of, j));
    }
    const char* w = o.weights + dw_s8_narrow_at(s, {.lanes = 16, .taps = 4, .wide = kChannels});
    const int64_t y_stride = p.y_stride > 0 ? p.y_stride : s.out_c, bytes = s.out_w * s.out_c;
    const int64_t step = s.dilation_w * s.in_c;
    const int64_t row_end = range.row_end < 0 ? work_rows(s) : range.row_end;
    auto* scratch = static_cast<uint8_t*>(o.scratch);
    memset(scratch, fill, static_cast<size_t>((K + 1) * line_bytes(s)));
    int64_t held[K];  // input line, counted over all images, in each slot
    for (int64_t& line : held) line = -1;
    for (int64_t row = range.row_begin; row < row_end; ++row) {
      const char* lines[K];
      for (int64_t ky = 0; ky < K; ++ky)
        lines[ky] = padded_line(s, p.x, row / s.out_h, row % s.out_h * s.stride_h - s.pad_top + ky,
                                scratch, held, K);
      for (int64_t at = 0; at < bytes; at += 64) {
        __m512i acc[4] = {bias[0], bias[1], bias[2], bias[3]};
        accumulate_narrow<K>(lines, at, step, w, acc);
        const Store store(p, bytes - at);
        uint8_t* y = static_cast<uint8_t*>(p.y) + row * s.out_w * y_stride;
        if (y_stride == s.out_c) {
          store(y + at, acc, multipliers);
          continue;
        }
        alignas(64) uint8_t apart[64];
        store(apart, acc, multipliers);
        for (int64_t i = 0; i < 64 && at + i < bytes; i += s.out_c)
          memcpy(y + (at + i) / s.out_c * y_stride, apart + i, static_cast<size_t>(s.out_c));
      }
    }
  }

 private:
  static int64_t line_bytes(const ConvShape& s) { return up_to(span_w(s) * s.in_c + 64, 64) * 64; }

  /// Line iy of image n with its padding, in its slot or copied into it.
  static const char* padded_line(const ConvShape& s, const uint8_t* x, int64_t n, int64_t iy,
                                 uint8_t* scratch, int64_t* held, int64_t slots) {
    const int64_t size = line_bytes(s);
    if (iy < 0 || iy >= s.in_h) return reinterpret_cast<const char*>(scratch + slots * size);
    const int64_t line = n * s.in_h + iy;
    uint8_t* slot = scratch + line % slots * size;
    if (held[line % slots] != line) {
      const int64_t pixels = at_most(s.in_w, span_w(s) - s.pad_left);
      if (pixels > 0)
        memcpy(slot + s.pad_left * s.in_c, x + line * s.in_w * s.in_c,
               static_cast<size_t>(pixels * s.in_c));
      held[line % slots] = line;
    }
    return reinterpret_cast<const char*>(slot);
  }

  template <int K>
  LAPIDARY_INLINE void accumulate_narrow(const char* const* lines, int64_t at, int64_t step,
                                         const char* w, __m512i (&acc)[4]) {
    constexpr int kGroups = (K + 3) / 4;
#pragma GCC unroll 5
    for (int kx = 0; kx < K; ++kx) {
#pragma GCC unroll 2
      for (int g = 0; g < kGroups; ++g) {
        __m512i inputs[4];
        if (K - 4 * g >= 4)
          column<4>(lines + 4 * g, at + kx * step, inputs);
        else
          column<K % 4>(lines + 4 * g, at + kx * step, inputs);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j)
          acc[j] =
              _mm512_dpbusd_epi32(acc[j], inputs[j], load(w + ((kx * kGroups + g) * 4 + j) * 64));
      }
    }
  }

  LAPIDARY_INLINE __m512i load(const char* p) { return _mm512_loadu_si512(p); }

  /// Part j of 64 words that lie by channel.
  LAPIDARY_INLINE __m512i part(const int32_t* p, int j) {
    __m512i v = _mm512_zextsi128_si512(words4(p + 4 * j));
    v = _mm512_inserti32x4(v, words4(p + 16 + 4 * j), 1);
    v = _mm512_inserti32x4(v, words4(p + 32 + 4 * j), 2);
    return _mm512_inserti32x4(v, words4(p + 48 + 4 * j), 3);
  }
  LAPIDARY_INLINE __m128i words4(const int32_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }

  /// y = rint(min(max(v, lo - zy), hi - zy)) + zy of v = float(acc) * m. Packing to 16 bits
  /// saturates, as adding zy and packing to bytes do, so only what int32 cannot hold is clamped in
  /// float, and lo and hi as bytes. NaN and what is below int32 convert to its least value.
  struct Store {
    __m512 most = _mm512_set1_ps(65536.0f);
    __m512i zero, lo, hi;
    __mmask64 mask;

    __attribute__((always_inline)) inline Store(const ConvS8Args& p, int64_t channels)
        : zero(_mm512_set1_epi16(static_cast<int16_t>(p.y_zero))),
          lo(_mm512_set1_epi8(static_cast<char>(p.lo))),
          hi(_mm512_set1_epi8(static_cast<char>(p.hi))),
          mask(channels >= 64 ? ~0ull : (1ull << channels) - 1) {}

    __attribute__((always_inline)) inline void operator()(uint8_t* y, const __m512i (&acc)[4],
                                                          const __m512 (&multipliers)[4]) const {
      __m512i q[4];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[j]), multipliers[j]);
        q[j] = _mm512_cvtps_epi32(_mm512_min_ps(most, scaled));
      }
      const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), zero);
      const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), zero);
      const __m512i bytes = _mm512_packus_epi16(low, high);
      _mm512_mask_storeu_epi8(y, mask, _mm512_max_epu8(_mm512_min_epu8(bytes, hi), lo));
    }
  };

  /// int32 and float results of one pixel.
  static void store_words(const IgemmTile& t, int64_t pixel, const __m512i (&acc)[4]) {
    alignas(64) int32_t words[64];
    for (int j = 0; j < 4; ++j) {
      alignas(64) int32_t one[16];
      _mm512_store_si512(one, acc[j]);
      for (int k = 0; k < 16; ++k) words[k / 4 * 16 + 4 * j + k % 4] = one[k];
    }
    __m512i ordered[1][4];
    for (int j = 0; j < 4; ++j) ordered[0][j] = _mm512_load_si512(words + 16 * j);
    IgemmTile tile = t;
    tile.pixel += pixel;
    finish_s8<Avx512, 1, 4>(tile, ordered);
  }
};

}  // namespace
}  // namespace lapidary::kernels
