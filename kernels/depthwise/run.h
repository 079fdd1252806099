#pragma once

#include "kernels/depthwise/square.h"
#include "kernels/igemm/run.h"

// The loops of a depthwise convolution, for ISA files: lines of output, blocks of kLanes channels,
// tiles of up to four neighbouring outputs. A policy P gives
//   Source, Element, kTraits, convert, fill   as for run_igemm
//   block_bytes(shape)         weights of one block of channels
//   lanes_of<K>(channels)      channels, a multiple of kLanes, that a tile over so many takes
//   square<K, S>(line, tile)   line.pixels outputs of a K x K filter with column step S
//   any<T>(taps, tile)         T outputs of any filter, over padded input
//   finish_line(args, pixel, pixels)   what is left once all channels of those outputs are there
namespace lapidary::kernels {
namespace {

/// A run of outputs of one line: the input lines of the filter's lines, from column 0 of the image.
/// Lines outside the image are blank; columns outside it are not read. Where the filter is dilated
/// by d, the run is every d-th output, so that its windows share columns as those of a dense filter
/// do.
struct DwLine {
  const char* lines[5] = {};  ///< K of them, at the block's channels
  int64_t pixel_bytes = 0;    ///< between input columns
  int64_t in_w = 0;
  int64_t ix = 0;      ///< input column of the first tap of the first output
  int64_t pixels = 0;  ///< outputs
  int64_t step = 1;    ///< d: columns between taps, pixels between outputs
  int fill = 0;        ///< what stands outside the image
};

/// For any filter: distances in bytes between taps.
struct DwTaps {
  int64_t tap_y = 0, tap_x = 0;
  int64_t kernel_h = 1, kernel_w = 1;
  bool has_zero_points = false;
};

/// Outputs done for all channels before the next ones, so that their input lines stay in L1.
constexpr int64_t kDwSegmentBytes = 12 * 1024;

/// A blank line for the square filters, or the chunks of the others.
[[maybe_unused]] constexpr size_t dw_scratch_bytes(const ConvShape& s, const IgemmTraits& t) {
  if (!dw_is_square(s)) return igemm_scratch_bytes(s, t);
  const size_t line = static_cast<size_t>(s.in_w * s.in_c * t.element_bytes + 64);
  const size_t other = igemm_scratch_bytes(s, t);  // where weights have zero points
  return line > other ? line : other;
}

template <class P, int K, int S>
void run_dw_square(const ConvShape& s, const WorkRange& range, const IgemmOperands& o,
                   typename P::Element fill) {
  constexpr int64_t kBytes = sizeof(typename P::Element);
  const int64_t pixel_bytes = s.in_c * kBytes, line_bytes = s.in_w * pixel_bytes;
  const int64_t row_end = range.row_end < 0 ? work_rows(s) : range.row_end;
  const int64_t segment = up_to(at_least(1, kDwSegmentBytes / (S * pixel_bytes)), 4) * 4;
  P::fill(static_cast<typename P::Element*>(o.scratch), fill, s.in_w * s.in_c);
  for (int64_t row = range.row_begin; row < row_end; ++row) {
    const int64_t n = row / s.out_h, iy = row % s.out_h * s.stride_h - s.pad_top;
    const char* image = static_cast<const char*>(o.x) + n * s.in_h * line_bytes;
    for (int64_t ox = 0; ox < s.out_w; ox += segment) {
      const int64_t pixels = at_most(segment, s.out_w - ox);
      IgemmTile t;
      t.args = o.args;
      for (int64_t channel = 0; channel < s.in_c; channel += t.channels) {
        DwLine line = {.pixel_bytes = pixel_bytes,
                       .in_w = s.in_w,
                       .step = s.dilation_w,
                       .fill = static_cast<int>(fill)};
        for (int ky = 0; ky < K; ++ky) {
          const int64_t y = iy + ky * s.dilation_h;
          const bool inside = y >= 0 && y < s.in_h;
          line.lines[ky] = (inside ? image + y * line_bytes : static_cast<const char*>(o.scratch)) +
                           channel * kBytes;
        }
        t.w = o.weights + channel / P::kTraits.lanes * P::block_bytes(s);
        t.channel = t.at = channel;
        t.channels = at_most(P::template lanes_of<K>(s.in_c - channel), s.in_c - channel);
        for (int64_t first = 0; first < at_most(line.step, pixels); ++first) {
          line.ix = (ox + first) * S - s.pad_left;
          line.pixels = up_to(pixels - first, line.step);
          t.pixel = row * s.out_w + ox + first;
          P::template square<K, S>(line, t);
        }
      }
      P::finish_line(o.args, row * s.out_w + ox, pixels);
    }
  }
}

template <class P>
void run_dw_any(const ConvShape& s, const WorkRange& range, const IgemmOperands& o,
                typename P::Element fill) {
  constexpr int64_t kBytes = sizeof(typename P::Element);
  const IgemmPlan p = igemm_plan(s, P::kTraits);
  const int64_t row_end = range.row_end < 0 ? work_rows(s) : range.row_end;
  for (int64_t row = range.row_begin; row < row_end;) {
    const IgemmChunk c = next_chunk<P>(s, p, static_cast<const typename P::Source*>(o.x), fill,
                                       o.scratch, row, row_end);
    const DwTaps taps = {.tap_y = s.dilation_h * c.a_line,
                         .tap_x = s.dilation_w * s.in_c * kBytes,
                         .kernel_h = s.kernel_h,
                         .kernel_w = s.kernel_w,
                         .has_zero_points = o.needs_sums};
    for (int64_t r = 0; r < c.rows; ++r) {
      for (int64_t channel = 0; channel < s.in_c; channel += P::kTraits.lanes) {
        IgemmTile t;
        t.a = c.a + r * c.a_row + channel * kBytes;
        t.a_pixel = c.a_pixel;
        t.w = o.weights + channel / P::kTraits.lanes * P::block_bytes(s);
        t.channel = t.at = channel;
        t.channels = at_most(P::kTraits.lanes, s.in_c - channel);
        t.pixel = c.pixel + r * c.pixels;
        t.args = o.args;
        int64_t m = 0;
        for (; m + 4 <= c.pixels; m += 4, t.a += 4 * t.a_pixel, t.pixel += 4)
          P::template any<4>(taps, t);
        for (; m < c.pixels; ++m, t.a += t.a_pixel, ++t.pixel) P::template any<1>(taps, t);
      }
    }
    row += is_flat(s) ? c.pixels : c.rows;
  }
}

template <class P>
void run_dw(const ConvShape& s, const WorkRange& range, const IgemmOperands& o,
            typename P::Element fill) {
  if (!dw_is_square(s) || o.needs_sums) return run_dw_any<P>(s, range, o, fill);
  if (s.kernel_w == 3 && s.stride_w == 1) return run_dw_square<P, 3, 1>(s, range, o, fill);
  if (s.kernel_w == 3) return run_dw_square<P, 3, 2>(s, range, o, fill);
  if (s.stride_w == 1) return run_dw_square<P, 5, 1>(s, range, o, fill);
  return run_dw_square<P, 5, 2>(s, range, o, fill);
}

/// tile.operator()<T, edge>(m) with T = count.
template <int T, bool kEdge, class Tile>
LAPIDARY_INLINE void dw_tile_of(int64_t count, int64_t m, const Tile& tile) {
  if constexpr (T > 1) {
    if (count < T) return dw_tile_of<T - 1, kEdge>(count, m, tile);
  }
  tile.template operator()<T, kEdge>(m);
}

/// tile(T, edge, m) over the outputs of a line in tiles of at most kMost, of even size; edge: some
/// column is outside the image, or the tile is smaller than four.
template <int K, int S, int kMost = 4, class Tile>
LAPIDARY_INLINE void each_dw_tile(const DwLine& line, const Tile& tile) {
  const int64_t size = up_to(line.pixels, up_to(line.pixels, kMost));
  for (int64_t m = 0; m < line.pixels; m += size) {
    const int64_t count = at_most(size, line.pixels - m), ix = line.ix + m * S * line.step;
    const bool edge = ix < 0 || ix + ((count - 1) * S + K - 1) * line.step >= line.in_w;
    if (edge || count < 4)
      dw_tile_of<kMost, true>(count, m, tile);
    else
      dw_tile_of<kMost, false>(count, m, tile);
  }
}

}  // namespace
}  // namespace lapidary::kernels
