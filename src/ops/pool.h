#pragma once

#include "src/base/parallel.h"
#include "src/ops/elements.h"
#include "src/ops/window.h"

// What the poolings share. x: [N, C, in...], y: [N, C, out...].

namespace lapidary {

/// Shape of y by `kernel_shape` and its companions; unknown rank gives none.
std::optional<std::vector<Dim>> pool_output_shape(const InferContext& context, size_t x);

struct PoolGeometry {
  int64_t planes = 1;  ///< N C
  std::array<WindowAxis, 3> axes;
  Shape output;
  int64_t in_area() const { return axes[0].in * axes[1].in * axes[2].in; }
  int64_t out_area() const { return axes[0].out * axes[1].out * axes[2].out; }
};
PoolGeometry pool_geometry(const AttrView& attrs, const Shape& x);

/// Elements of the window at each output position that lie inside the padded input, as the divisor
/// of an average that counts padding wants it.
int64_t padded_count(const PoolGeometry& g, const std::array<int64_t, 3>& out);

/// f(plane, output index in its plane, positions o, offsets of the window's elements in the plane).
template <class F>
void for_each_window(const PoolGeometry& g, F f) {
  const auto& [d, h, v] = g.axes;
  parallel_for(g.planes, 1, [&](int64_t begin, int64_t end, int) {
    std::vector<int64_t> offsets;
    for (int64_t plane = begin; plane < end; ++plane)
      for (int64_t o = 0; o < g.out_area(); ++o) {
        const std::array<int64_t, 3> at{o / (h.out * v.out), o / v.out % h.out, o % v.out};
        offsets.clear();
        for (int64_t kd = 0; kd < d.kernel; ++kd) {
          const int64_t id = at[0] * d.stride + kd * d.dilation - d.pad_begin;
          if (id < 0 || id >= d.in) continue;
          for (int64_t kh = 0; kh < h.kernel; ++kh) {
            const int64_t ih = at[1] * h.stride + kh * h.dilation - h.pad_begin;
            if (ih < 0 || ih >= h.in) continue;
            for (int64_t kw = 0; kw < v.kernel; ++kw) {
              const int64_t iw = at[2] * v.stride + kw * v.dilation - v.pad_begin;
              if (iw >= 0 && iw < v.in) offsets.push_back((id * h.in + ih) * v.in + iw);
            }
          }
        }
        f(plane, o, at, std::span<const int64_t>(offsets));
      }
  });
}

/// [N, C, 1, 1, ...]
void infer_global_pool(InferContext& context, size_t x, DType dtype);

}  // namespace lapidary
