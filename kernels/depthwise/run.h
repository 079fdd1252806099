#pragma once

#include "kernels/igemm/run.h"

// The loops of a depthwise convolution, for ISA files: lines of output, blocks of kLanes channels,
// tiles of up to four neighbouring outputs. A policy P gives
//   Vec, Source, Element, kTraits, convert, fill   as for run_igemm
//   block_bytes(shape)                             weights of one block of channels
//   tile<K, S, T>(taps, tile)   K x K taps, column step S, T outputs; K = 0: any shape, T outputs
namespace lapidary::kernels {
namespace {

/// Distances in bytes, and what a tile of any shape must know.
struct DwTaps {
  int64_t tap_y = 0, tap_x = 0;  ///< between taps
  int64_t kernel_h = 1, kernel_w = 1;
  bool has_zero_points = false;
};

template <class P, int K, int S>
void dw_line(const DwTaps& taps, const IgemmTile& line, int64_t pixels) {
  IgemmTile t = line;
  for (int64_t m = 0; m < pixels; m += 4, t.a += 4 * t.a_pixel, t.pixel += 4) {
    switch (at_most(4, pixels - m)) {
      case 1:
        P::template tile<K, S, 1>(taps, t);
        break;
      case 2:
        P::template tile<K, S, 2>(taps, t);
        break;
      case 3:
        P::template tile<K, S, 3>(taps, t);
        break;
      default:
        P::template tile<K, S, 4>(taps, t);
        break;
    }
  }
}

template <class P>
using DwLine = void (*)(const DwTaps&, const IgemmTile&, int64_t);

/// The tile made for the shape, or the one for any shape.
template <class P>
DwLine<P> dw_line_for(const ConvShape& s, bool has_zero_points) {
  if (s.kernel_h == s.kernel_w && s.dilation_w == 1 && !has_zero_points) {
    if (s.kernel_w == 3 && s.stride_w == 1) return dw_line<P, 3, 1>;
    if (s.kernel_w == 3 && s.stride_w == 2) return dw_line<P, 3, 2>;
    if (s.kernel_w == 5 && s.stride_w == 1) return dw_line<P, 5, 1>;
    if (s.kernel_w == 5 && s.stride_w == 2) return dw_line<P, 5, 2>;
  }
  return dw_line<P, 0, 0>;
}

template <class P>
void run_dw(const ConvShape& s, const WorkRange& range, const IgemmOperands& o,
            typename P::Element fill) {
  constexpr int64_t kBytes = sizeof(typename P::Element);
  const IgemmPlan p = igemm_plan(s, P::kTraits);
  const DwLine<P> line = dw_line_for<P>(s, o.needs_sums);
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
        line(taps, t, c.pixels);
      }
    }
    row += is_flat(s) ? c.pixels : c.rows;
  }
}

}  // namespace
}  // namespace lapidary::kernels
