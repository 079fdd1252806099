#pragma once

#include <cstring>

#include "kernels/igemm/plan.h"
#include "kernels/simd.h"

// The loops of an implicit GEMM, for ISA files. A policy P says what a tile does with its vectors:
//   Vec, Element, Source        the vector, an input element as tiles read it, and in memory
//   kTraits                     IgemmTraits
//   load(p), broadcast(p)       `lanes` lanes of weights, 4 bytes of input in all lanes
//   dot(acc, x, w)              acc + the products of a unit
//   start<MR, NV>(tile, acc), finish<MR, NV>(tile, acc)
//   convert(to, from, count), fill(to, value, count)
namespace lapidary::kernels {
namespace {

struct IgemmTile {
  const char* a = nullptr;  ///< first unit of pixel 0
  int64_t a_pixel = 0;      ///< bytes between the tile's pixels
  int64_t segments_y = 1, segments_x = 1;
  int64_t segment_y = 0, segment_x = 0;  ///< bytes between segments
  int64_t units = 0;
  const char* w = nullptr;
  int64_t w_step = 0;             ///< bytes between units of weights
  int64_t channels = 0;           ///< valid ones, from `channel`
  int64_t channel = 0;            ///< of the output
  int64_t at = 0;                 ///< of the packed arrays
  int64_t pixel = 0;              ///< of the output, counted over all images
  const int32_t* sums = nullptr;  ///< of each pixel's inputs, or null
  const void* args = nullptr;
};

template <class P, int MR, int NV>
void igemm_tile(const IgemmTile& t) {
  typename P::Vec acc[MR][NV];
  P::template start<MR, NV>(t, acc);
  // Seven pixels from each base: 0, 1, 2, 3, 4, 5, 6 times `step` by scaled index registers.
  const int64_t step = t.a_pixel, step3 = 3 * step, step5 = 5 * step;
  const int64_t offsets[7] = {0, step, 2 * step, step3, 4 * step, step5, 2 * step3};
  const char* w = t.w;
  for (int64_t sy = 0; sy < t.segments_y; ++sy) {
    for (int64_t sx = 0; sx < t.segments_x; ++sx) {
      const char* low = t.a + sy * t.segment_y + sx * t.segment_x;
      const char* high = low + 7 * step;
      for (int64_t u = 0; u < t.units; ++u, low += 4, high += 4, w += t.w_step) {
        typename P::Vec weights[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v)
          weights[v] = P::load(w + v * P::kTraits.lanes * P::kTraits.weight_bytes);
#pragma GCC unroll 14
        for (int m = 0; m < MR; ++m) {
          const auto x = P::broadcast((m < 7 ? low : high) + offsets[m % 7]);
#pragma GCC unroll 4
          for (int v = 0; v < NV; ++v) acc[m][v] = P::dot(acc[m][v], x, weights[v]);
        }
      }
    }
  }
  P::template finish<MR, NV>(t, acc);
}

template <class P, int NV>
void igemm_tile_of(const IgemmTile& t, int64_t pixels) {
  constexpr int kMost = static_cast<int>(tile_pixels(P::kTraits, NV));
  switch (pixels) {
    case 1:
      return igemm_tile<P, 1, NV>(t);
    case 2:
      return igemm_tile<P, 2, NV>(t);
    case 3:
      return igemm_tile<P, 3, NV>(t);
    case 4:
      return igemm_tile<P, 4, NV>(t);
    case 5:
      return igemm_tile<P, 5, NV>(t);
    case 6:
      return igemm_tile<P, 6, NV>(t);
    default:
      break;
  }
  if constexpr (kMost > 6)
    if (pixels == 7) return igemm_tile<P, 7, NV>(t);
  if constexpr (kMost > 7) {
    switch (pixels) {
      case 8:
        return igemm_tile<P, 8, NV>(t);
      case 9:
        return igemm_tile<P, 9, NV>(t);
      case 10:
        return igemm_tile<P, 10, NV>(t);
      case 11:
        return igemm_tile<P, 11, NV>(t);
      case 12:
        return igemm_tile<P, 12, NV>(t);
      case 13:
        return igemm_tile<P, 13, NV>(t);
      default:
        return igemm_tile<P, 14, NV>(t);
    }
  }
}

/// A line of `pixels` by the channels of one block, in tiles of even size. A ragged block is cut so
/// that no vector lies wholly past its last channel.
template <class P>
void igemm_line(const IgemmTile& line, int64_t pixels, int64_t nv) {
  constexpr int64_t kLanes = P::kTraits.lanes;
  IgemmTile t = line;
  for (int64_t left = line.channels; left > 0;) {
    const int64_t vectors = up_to(left, kLanes);
    const int64_t take = vectors >= nv ? nv : (vectors >= 2 ? 2 : 1);
    t.channels = at_most(left, take * kLanes);
    const int64_t most = tile_pixels(P::kTraits, take);
    const int64_t size = up_to(pixels, up_to(pixels, most));
    for (int64_t m = 0; m < pixels; m += size) {
      IgemmTile tile = t;
      tile.a += m * t.a_pixel;
      tile.pixel += m;
      if (t.sums != nullptr) tile.sums += m;
      const int64_t count = at_most(size, pixels - m);
      if (take == 1)
        igemm_tile_of<P, 1>(tile, count);
      else if (take == 2)
        igemm_tile_of<P, 2>(tile, count);
      else if constexpr (P::kTraits.registers == 32)
        igemm_tile_of<P, 4>(tile, count);
    }
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

/// Output rows that one chunk of work covers, and where their input is.
struct IgemmChunk {
  const char* a = nullptr;  ///< of the first output pixel
  int64_t a_pixel = 0, a_line = 0,
          a_row = 0;             ///< bytes between output pixels, input lines, output rows
  int64_t rows = 0, pixels = 0;  ///< lines of tiles, and pixels on each
  int64_t pixel = 0;             ///< the first
};

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

/// sums[pixel] = sum of the filter's inputs of group g, for every pixel of the chunk.
template <class P>
void sum_inputs(const ConvShape& s, const IgemmPlan& p, const IgemmChunk& c, int64_t group_offset,
                int32_t* sums) {
  using Element = typename P::Element;
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t m = 0; m < c.pixels; ++m) {
      int32_t sum = 0;
      for (int64_t sy = 0; sy < p.segments_y; ++sy) {
        for (int64_t sx = 0; sx < p.segments_x; ++sx) {
          const char* a = c.a + group_offset + row * c.a_row + m * c.a_pixel +
                          sy * s.dilation_h * c.a_line +
                          sx * s.dilation_w * s.in_c * static_cast<int64_t>(sizeof(Element));
          const auto* x = reinterpret_cast<const Element*>(a);
          for (int64_t i = 0; i < p.segment_elements; ++i) sum += static_cast<int32_t>(x[i]);
        }
      }
      *sums++ = sum;
    }
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
      t.args = o.args;
      for (int64_t r = 0; r < c.rows; ++r) {
        t.a = c.a + group_offset + r * c.a_row;
        t.pixel = c.pixel + r * c.pixels;
        t.sums = o.needs_sums ? sums + r * c.pixels : nullptr;
        igemm_line<P>(t, c.pixels, p.nv);
      }
    }
    row += is_flat(s) ? c.pixels : c.rows;
  }
}

}  // namespace
}  // namespace lapidary::kernels
