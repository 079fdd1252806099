#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "src/base/parallel.h"
#include "src/ops/window.h"

// What Conv, ConvInteger and QLinearConv share. x: [N, C, in...], w: [M, C/group, kernel...],
// y: [N, M, out...].

namespace lapidary {

/// Shape of y; checks ranks, channels, group and the window. Absent where the rank of x or w is not
/// known.
std::optional<std::vector<Dim>> conv_output_shape(const InferContext& context, size_t x, size_t w);
/// Throws Error{kInvalid} unless the bias is absent or has one element per output channel.
void check_conv_bias(const InferContext& context, size_t bias, size_t w);

struct ConvGeometry {
  int64_t batch = 1, in_channels = 1, out_channels = 1, group = 1;
  std::array<WindowAxis, 3> axes;  ///< depth, height, width
  Shape output;

  int64_t in_area() const { return axes[0].in * axes[1].in * axes[2].in; }
  int64_t out_area() const { return axes[0].out * axes[1].out * axes[2].out; }
  int64_t kernel_area() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
  int64_t group_in() const { return in_channels / group; }
};
ConvGeometry conv_geometry(const AttrView& attrs, const Shape& x, const Shape& w);

/// Channels of x, w and output 0, by `group`; batches.
void tie_conv_channels(AxisFlow& flow, size_t x, size_t w);

/// N * M * out area * (C/group) * kernel area.
int64_t conv_macs_of(const TensorType& w, const TensorType& y);

/// Every output plane: acc[o] = sum over c, kd, kh, kw (in that order) of x * w in Acc, then
/// store(n, m, acc). Padding adds nothing, so elements must be relative to their zero point.
template <class Acc, class In, class Store>
void convolve(const ConvGeometry& g, std::span<const In> x, std::span<const In> w, Store store) {
  const auto& [d, h, v] = g.axes;
  const int64_t planes = g.batch * g.out_channels;
  parallel_for(planes, 1, [&](int64_t begin, int64_t end, int) {
    std::vector<Acc> acc(static_cast<size_t>(g.out_area()));
    for (int64_t plane = begin; plane < end; ++plane) {
      std::ranges::fill(acc, Acc{});
      const int64_t n = plane / g.out_channels, m = plane % g.out_channels;
      const int64_t first_channel = m / (g.out_channels / g.group) * g.group_in();
      const In* tap = w.data() + m * g.group_in() * g.kernel_area();
      for (int64_t c = 0; c < g.group_in(); ++c) {
        const In* from = x.data() + (n * g.in_channels + first_channel + c) * g.in_area();
        for (int64_t kd = 0; kd < d.kernel; ++kd)
          for (int64_t kh = 0; kh < h.kernel; ++kh)
            for (int64_t kw = 0; kw < v.kernel; ++kw, ++tap) {
              const Acc weight = static_cast<Acc>(*tap);
              const OutputRange rd = inside(d, kd), rh = inside(h, kh), rw = inside(v, kw);
              for (int64_t od = rd.first; od < rd.last; ++od)
                for (int64_t oh = rh.first; oh < rh.last; ++oh) {
                  const int64_t id = od * d.stride + kd * d.dilation - d.pad_begin;
                  const int64_t ih = oh * h.stride + kh * h.dilation - h.pad_begin;
                  const In* row = from + (id * h.in + ih) * v.in + kw * v.dilation - v.pad_begin;
                  Acc* to = acc.data() + (od * h.out + oh) * v.out;
                  for (int64_t ow = rw.first; ow < rw.last; ++ow)
                    to[ow] += static_cast<Acc>(row[ow * v.stride]) * weight;
                }
            }
      }
      store(n, m, std::span<const Acc>(acc));
    }
  });
}

}  // namespace lapidary
