#pragma once

#include <cstring>
#include <utility>

#include "kernels/igemm/plan.h"
#include "kernels/simd.h"

// The loops of an implicit GEMM, for ISA files. A policy P says what a tile does with its vectors:
//   Vec, Element, Source        the vector, an input element as tiles read it, and in memory
//   kTraits                     IgemmTraits
//   load(p), broadcast(p)       `lanes` lanes of weights, 4 bytes of input in all lanes
//   dot(acc, x, w)              acc + the products of a unit
//   start<MR, NV>(tile, acc), finish<MR, NV>(tile, acc)
//   convert(to, from, count), fill(to, value, count)
// and, where units are not multiplied one by one (quads.h), multiply_tile<MR, NV>(tile, acc).
namespace lapidary::kernels {
namespace {

struct IgemmTile {
  const char* a = nullptr;       ///< first unit of pixel 0
  const char* a_high = nullptr;  ///< and of pixel 7: on the same output row or on the next
  int64_t a_pixel = 0;           ///< bytes between the tile's pixels
  int64_t segments_y = 1, segments_x = 1;
  int64_t segment_y = 0, segment_x = 0;  ///< bytes between segments
  int64_t units = 0;
  const char* w = nullptr;
  int64_t w_step = 0;             ///< bytes between units of weights
  const char* ahead = nullptr;    ///< weights to be brought into the cache meanwhile
  int64_t ahead_step = 0;         ///< bytes of them per unit
  int64_t channels = 0;           ///< valid ones, from `channel`
  int64_t channel = 0;            ///< of the output
  int64_t at = 0;                 ///< of the packed arrays
  int64_t pixel = 0;              ///< of the output, counted over all images
  const int32_t* sums = nullptr;  ///< of each pixel's inputs, or null
  const void* args = nullptr;
};

/// Pixels of a tile that are addressed from each of its two bases.
constexpr int64_t kHalfTile = 7;

/// A policy that multiplies a whole tile; its tiles lie on one output row.
template <class P, int MR, int NV>
concept MultipliesTiles = requires(const IgemmTile& t, typename P::Vec (&acc)[MR][NV]) {
  P::template multiply_tile<MR, NV>(t, acc);
};

/// acc += all products of the tile, unit by unit.
template <class P, int MR, int NV>
LAPIDARY_INLINE void multiply_by_units(const IgemmTile& t, typename P::Vec (&acc)[MR][NV]) {
  // 0, 1, 2, 3, 4, 5, 6 times `step` by scaled index registers.
  const int64_t step = t.a_pixel, step3 = 3 * step, step5 = 5 * step;
  const int64_t offsets[kHalfTile] = {0, step, 2 * step, step3, 4 * step, step5, 2 * step3};
  const int64_t high_from_low = t.a_high - t.a, w_step = t.w_step, ahead_step = t.ahead_step;
  const bool two_lines = ahead_step > 16;
  const char* w = t.w;
  const char* ahead = t.ahead;
  for (int64_t sy = 0; sy < t.segments_y; ++sy) {
    for (int64_t sx = 0; sx < t.segments_x; ++sx) {
      const char* low = t.a + sy * t.segment_y + sx * t.segment_x;
      const char* high = low + high_from_low;
      for (int64_t u = t.units; u > 0; --u, low += 4, high += 4, w += w_step) {
        // Loads are what a tile has least of: one in four steps asks for weights.
        if (NV > 1 && u % 4 == 0) {
          __builtin_prefetch(ahead, 0, 2);
          if (two_lines) __builtin_prefetch(ahead + 64, 0, 2);
          ahead += 4 * ahead_step;
        }
        typename P::Vec weights[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v)
          weights[v] = P::load(w + v * P::kTraits.lanes * P::kTraits.weight_bytes);
#pragma GCC unroll 14
        for (int m = 0; m < MR; ++m) {
          const auto x = P::broadcast((m < kHalfTile ? low : high) + offsets[m % kHalfTile]);
#pragma GCC unroll 4
          for (int v = 0; v < NV; ++v) acc[m][v] = P::dot(acc[m][v], x, weights[v]);
        }
      }
    }
  }
}

template <class P, int MR, int NV>
__attribute__((noinline)) void igemm_tile(const IgemmTile& t) {
  typename P::Vec acc[MR][NV];
  P::template start<MR, NV>(t, acc);
  if constexpr (MultipliesTiles<P, MR, NV>)
    P::template multiply_tile<MR, NV>(t, acc);
  else
    multiply_by_units<P, MR, NV>(t, acc);
  P::template finish<MR, NV>(t, acc);
}

using IgemmTileFunction = void (*)(const IgemmTile&);

/// igemm_tile of 1, 2, .. pixels.
template <class P, int NV, class Pixels>
struct IgemmTiles;
template <class P, int NV, int... M>
struct IgemmTiles<P, NV, std::integer_sequence<int, M...>> {
  static constexpr IgemmTileFunction kOf[] = {igemm_tile<P, M + 1, NV>...};
};

/// Output pixels that one chunk of work covers, and where their input is.
struct IgemmChunk {
  const char* a = nullptr;  ///< of the first output pixel
  int64_t a_pixel = 0, a_line = 0,
          a_row = 0;             ///< bytes between output pixels, input lines, output rows
  int64_t rows = 0, pixels = 0;  ///< lines of tiles, and pixels on each
  int64_t pixel = 0;             ///< the first
};

/// True where a tile holds half of its pixels from each of two output rows.
constexpr bool joins_rows(int64_t pixels, int64_t rows, int64_t most) {
  return most == 2 * kHalfTile && pixels == kHalfTile && rows > 1;
}

/// Tiles of at most `most` pixels on all lines of the chunk.
constexpr int64_t tile_count(const IgemmChunk& c, int64_t most) {
  return joins_rows(c.pixels, c.rows, most) ? up_to(c.rows, 2) : c.rows * up_to(c.pixels, most);
}

/// The chunk's pixels by NV vectors of channels, in tiles of even size. `a` and `sums` of the tile
/// are those of the chunk's first pixel.
template <class P, int NV>
void igemm_vectors(const IgemmTile& block, const IgemmChunk& c) {
  constexpr int64_t kMost = tile_pixels(P::kTraits, NV);
  using Tiles = IgemmTiles<P, NV, std::make_integer_sequence<int, int{kMost}>>;
  IgemmTile t = block;
  const int64_t ahead = t.segments_y * t.segments_x * t.units * t.ahead_step;
  const bool joined = joins_rows(c.pixels, c.rows, kMost);
  const int64_t size = up_to(c.pixels, up_to(c.pixels, kMost));
  for (int64_t r = 0; r < c.rows; ++r) {
    const bool two = joined && r + 1 < c.rows;
    for (int64_t m = 0; m < c.pixels; m += size) {
      t.a = block.a + r * c.a_row + m * c.a_pixel;
      t.a_high = t.a + (two ? c.a_row : kHalfTile * c.a_pixel);
      const int64_t first = r * c.pixels + m;
      t.pixel = c.pixel + first;
      if (block.sums != nullptr) t.sums = block.sums + first;
      Tiles::kOf[(two ? 2 * kHalfTile : at_most(size, c.pixels - m)) - 1](t);
      t.ahead += ahead;
    }
    r += two;
  }
}

/// The chunk's pixels by the channels of one block. A ragged block is cut so that no vector lies
/// wholly past its last channel.
template <class P>
void igemm_block(const IgemmTile& block, const IgemmChunk& c, int64_t nv) {
  constexpr int64_t kLanes = P::kTraits.lanes;
  IgemmTile t = block;
  for (int64_t left = block.channels; left > 0;) {
    const int64_t vectors = up_to(left, kLanes);
    const int64_t take = vectors >= nv ? nv : (vectors >= 2 ? 2 : 1);
    t.channels = at_most(left, take * kLanes);
    if (take == 1)
      igemm_vectors<P, 1>(t, c);
    else if (take == 2)
      igemm_vectors<P, 2>(t, c);
    else if constexpr (P::kTraits.registers == 32)
      igemm_vectors<P, 4>(t, c);
    left -= t.channels;
    t.w += take * kLanes * P::kTraits.weight_bytes;
    t.at += t.channels;
    t.channel += t.channels;
  }
}

/// `pixels` pixels of from_c channels as pixels of to_c, the channels behind them `fill`.
template <class P>
void convert_pixels(const typename P::Source* from, int64_t from_c, int64_t pixels, int64_t to_c,
                    typename P::Element fill, typename P::Element* to) {
  if (from_c == to_c) return P::convert(to, from, pixels * to_c);
  for (int64_t i = 0; i < pixels; ++i, from += from_c, to += to_c) {
    P::convert(to, from, from_c);
    P::fill(to + from_c, fill, to_c - from_c);
  }
}

/// Input lines iy_begin.. of image n, columns -pad_left.., as span_w pixels each; `fill` outside.
template <class P>
void copy_lines(const ConvShape& s, const typename P::Source* x, int64_t x_c, int64_t n,
                int64_t iy_begin, int64_t lines, typename P::Element fill,
                typename P::Element* to) {
  const int64_t width = span_w(s);
  const int64_t left = at_most(s.pad_left, width);
  const int64_t middle = at_least(0, at_most(s.in_w, width - left));
  const int64_t right = width - left - middle;
  for (int64_t iy = iy_begin; iy < iy_begin + lines; ++iy, to += width * s.in_c) {
    if (iy < 0 || iy >= s.in_h) {
      P::fill(to, fill, width * s.in_c);
      continue;
    }
    P::fill(to, fill, left * s.in_c);
    convert_pixels<P>(x + (n * s.in_h + iy) * s.in_w * x_c, x_c, middle, s.in_c, fill,
                      to + left * s.in_c);
    P::fill(to + (left + middle) * s.in_c, fill, right * s.in_c);
  }
}

/// The chunk that starts at work row `row`; x has x_channels (0: s.in_c), others than s.in_c only
/// where lines are copied.
template <class P>
IgemmChunk next_chunk(const ConvShape& s, const IgemmPlan& p, const typename P::Source* x,
                      typename P::Element fill, void* scratch, int64_t row, int64_t row_end,
                      int64_t x_channels = 0) {
  constexpr int64_t kBytes = sizeof(typename P::Element);
  const int64_t x_c = x_channels > 0 ? x_channels : s.in_c;
  auto* to = static_cast<typename P::Element*>(scratch);
  IgemmChunk c;
  if (is_flat(s)) {
    c.rows = 1;
    c.pixels = at_most(p.chunk_rows, row_end - row);
    c.pixel = row;
    c.a_pixel = s.in_c * kBytes;
    c.a = reinterpret_cast<const char*>(x + row * x_c);
    if (!p.copies) return c;
    convert_pixels<P>(x + row * x_c, x_c, c.pixels, s.in_c, fill, to);
    c.a = reinterpret_cast<const char*>(to);
    return c;
  }
  const int64_t n = row / s.out_h, oy = row % s.out_h;
  c.rows = at_most(p.chunk_rows, at_most(row_end - row, s.out_h - oy));
  c.pixels = s.out_w;
  c.pixel = row * s.out_w;
  c.a_pixel = s.stride_w * s.in_c * kBytes;
  c.a_line = (p.copies ? span_w(s) : s.in_w) * s.in_c * kBytes;
  c.a_row = s.stride_h * c.a_line;
  if (!p.copies) {
    c.a = reinterpret_cast<const char*>(x) + (n * s.in_h + oy * s.stride_h) * c.a_line;
    return c;
  }
  copy_lines<P>(s, x, x_c, n, oy * s.stride_h - s.pad_top, input_lines(s, c.rows), fill, to);
  c.a = reinterpret_cast<const char*>(to);
  return c;
}

/// sums[pixel] = sum of the filter's inputs of group g, for every pixel of the chunk; wraps.
template <class P>
void sum_inputs(const ConvShape& s, const IgemmPlan& p, const IgemmChunk& c, int64_t group_offset,
                int32_t* sums) {
  using Element = typename P::Element;
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t m = 0; m < c.pixels; ++m) {
      uint32_t sum = 0;
      for (int64_t sy = 0; sy < p.segments_y; ++sy) {
        for (int64_t sx = 0; sx < p.segments_x; ++sx) {
          const char* a = c.a + group_offset + row * c.a_row + m * c.a_pixel +
                          sy * s.dilation_h * c.a_line +
                          sx * s.dilation_w * s.in_c * static_cast<int64_t>(sizeof(Element));
          const auto* x = reinterpret_cast<const Element*>(a);
          for (int64_t i = 0; i < p.segment_elements; ++i) sum += static_cast<uint32_t>(x[i]);
        }
      }
      *sums++ = static_cast<int32_t>(sum);
    }
  }
}

/// Weights for the tiles of a block to bring into the cache: the next block's, spread over all
/// steps of all tiles; where the block has one tile, those it comes to itself.
[[maybe_unused]] inline void look_ahead(const IgemmPlan& p, int64_t tiles, bool more,
                                        IgemmTile& t) {
  constexpr int64_t kDistance = 4096;
  t.ahead = t.w;
  if (tiles == 1) {
    t.ahead += kDistance;
    t.ahead_step = t.w_step;
  } else if (more) {
    t.ahead += p.block_bytes;
    t.ahead_step = up_to(t.w_step, tiles);
  }
}

/// What run_igemm needs beside shape and range.
struct IgemmOperands {
  const void* x = nullptr;
  int64_t x_channels = 0;  ///< of a pixel of x, where shape.in_c has zeros behind them; 0: in_c
  const char* weights = nullptr;
  bool needs_sums = false;
  void* scratch = nullptr;
  const void* args = nullptr;
};

template <class P>
void run_igemm(const ConvShape& s, const WorkRange& range, const IgemmOperands& o,
               typename P::Element fill) {
  constexpr int64_t kBytes = sizeof(typename P::Element);
  const IgemmPlan p = igemm_plan(s, P::kTraits);
  const int64_t row_end = range.row_end < 0 ? work_rows(s) : range.row_end;
  const int64_t block_end = range.block_end < 0 ? s.groups * p.group_blocks : range.block_end;
  auto* sums = reinterpret_cast<int32_t*>(static_cast<char*>(o.scratch) +
                                          up_to(p.chunk_bytes + 64, 64) * 64);
  for (int64_t row = range.row_begin; row < row_end;) {
    const IgemmChunk c = next_chunk<P>(s, p, static_cast<const typename P::Source*>(o.x), fill,
                                       o.scratch, row, row_end, o.x_channels);
    int64_t summed_group = -1;
    for (int64_t block = range.block_begin; block < block_end; ++block) {
      const int64_t g = block / p.group_blocks,
                    first = block % p.group_blocks * p.nv * P::kTraits.lanes;
      const int64_t group_offset = g * (s.in_c / s.groups) * kBytes;
      if (o.needs_sums && g != summed_group) sum_inputs<P>(s, p, c, group_offset, sums);
      summed_group = g;
      IgemmTile t;
      t.a = c.a + group_offset;
      t.a_pixel = c.a_pixel;
      t.segments_y = p.segments_y;
      t.segments_x = p.segments_x;
      t.segment_y = s.dilation_h * c.a_line;
      t.segment_x = s.dilation_w * s.in_c * kBytes;
      t.units = p.units;
      t.w = o.weights + block * p.block_bytes;
      t.w_step = p.nv * P::kTraits.lanes * P::kTraits.weight_bytes;
      t.channels = at_most(p.nv * P::kTraits.lanes, p.group_c - first);
      t.channel = g * p.group_c + first;
      t.at = g * p.group_stride + first;
      t.sums = o.needs_sums ? sums : nullptr;
      t.args = o.args;
      look_ahead(p, tile_count(c, p.mr), block + 1 < block_end, t);
      igemm_block<P>(t, c, p.nv);
    }
    row += is_flat(s) ? c.pixels : c.rows;
  }
}

}  // namespace
}  // namespace lapidary::kernels
