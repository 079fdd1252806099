#include <ATen/ops/avg_pool1d.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool3d.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/max_pool3d.h>
#include <ATen/ops/ones.h>

#include <limits>
#include <numeric>

#include "src/base/fail.h"
#include "src/ops/window.h"
#include "src/train/lowering.h"

// Poolings over x [N, C, in...].

namespace lapidary::train {

namespace {

/// A window whose padding either is ATen's own (the same on both sides, at most half the kernel) or
/// is put around x before.
struct Pooling {
  std::vector<int64_t> kernel, strides, dilations, pads;
  std::vector<int64_t> around;    ///< for constant_pad_nd, last axis first; empty: `pads` do
  std::vector<int64_t> declared;  ///< the node's pads likewise, without what ceil_mode adds
};

Pooling pooling(const AttrView& attrs, at::IntArrayRef sizes) {
  const WindowAttrs window = read_window(attrs, attrs.get_ints("kernel_shape"));
  Pooling out{window.kernel, window.strides, window.dilations, {}, {}, {}};
  bool own = true;
  std::vector<int64_t> around;
  for (size_t i = 0; i < window.rank(); ++i) {
    const WindowAxis axis = resolve_axis(window, i, sizes[i + 2]);
    const int64_t reach = (axis.out - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
    const int64_t end = std::max(axis.pad_end, reach - axis.in - axis.pad_begin);
    out.pads.push_back(axis.pad_begin);
    own = own && axis.pad_begin == axis.pad_end && end == axis.pad_end &&
          2 * axis.pad_begin <= axis.kernel;
    around.insert(around.begin(), {axis.pad_begin, end});
    out.declared.insert(out.declared.begin(), {axis.pad_begin, axis.pad_end});
  }
  if (own) return out;
  out.around = around;
  out.pads.assign(window.rank(), 0);
  return out;
}

at::Tensor mean_pool(const at::Tensor& x, const Pooling& p, bool with_padding) {
  switch (p.kernel.size()) {
    case 1:
      return at::avg_pool1d(x, p.kernel, p.strides, p.pads, false, with_padding);
    case 2:
      return at::avg_pool2d(x, p.kernel, p.strides, p.pads, false, with_padding);
    default:
      return at::avg_pool3d(x, p.kernel, p.strides, p.pads, false, with_padding);
  }
}

at::Tensor max_pool(const at::Tensor& x, const Pooling& p) {
  switch (p.kernel.size()) {
    case 1:
      return at::max_pool1d(x, p.kernel, p.strides, p.pads, p.dilations);
    case 2:
      return at::max_pool2d(x, p.kernel, p.strides, p.pads, p.dilations);
    default:
      return at::max_pool3d(x, p.kernel, p.strides, p.pads, p.dilations);
  }
}

std::string refuse_rank(const AttrView& attrs) {
  return attrs.get_ints("kernel_shape").size() > 3 ? "more than three spatial axes" : "";
}

std::vector<int64_t> spatial_axes(const at::Tensor& x) {
  std::vector<int64_t> axes(static_cast<size_t>(x.dim() - 2));
  std::iota(axes.begin(), axes.end(), int64_t{2});
  return axes;
}

}  // namespace

std::string refuse_max_pool(const AttrView& attrs) {
  const Node& node = attrs.node();
  if (node.outputs.size() > 1 && node.outputs[1]) return "its indices are wanted";
  return refuse_rank(attrs);
}

Outputs lower_max_pool(LowerContext& c) {
  at::Tensor x = c.input(0);
  const Pooling p = pooling(c.attrs(), x.sizes());
  if (!p.around.empty())
    x = at::constant_pad_nd(x, p.around, -std::numeric_limits<double>::infinity());
  return {max_pool(x, p)};
}

std::string refuse_average_pool(const AttrView& attrs) {
  for (const int64_t d : attrs.get_ints("dilations"))
    if (d != 1) return "dilations";
  return refuse_rank(attrs);
}

/// Where padding is put around x: the mean of all divided by the share of it that counts.
Outputs lower_average_pool(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const Pooling p = pooling(c.attrs(), x.sizes());
  const bool with_padding = c.attrs().get_int("count_include_pad", 0) != 0;
  if (p.around.empty()) return {mean_pool(x, p, with_padding)};
  std::vector<int64_t> ones = x.sizes().vec();
  ones[0] = ones[1] = 1;
  at::Tensor counted = at::ones(ones, x.options().requires_grad(false));
  std::vector<int64_t> rest = p.around;
  if (with_padding) {
    counted = at::constant_pad_nd(counted, p.declared, 1);
    for (size_t i = 0; i < rest.size(); ++i) rest[i] -= p.declared[i];
  }
  const at::Tensor share = mean_pool(at::constant_pad_nd(counted, rest, 0), p, true);
  return {mean_pool(at::constant_pad_nd(x, p.around, 0), p, true).div(share)};
}

Outputs lower_global_average_pool(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  return {x.mean(spatial_axes(x), true)};
}

Outputs lower_global_max_pool(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  return {x.amax(spatial_axes(x), true)};
}

}  // namespace lapidary::train
