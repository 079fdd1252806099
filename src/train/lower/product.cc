#include <ATen/ops/addmm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/matmul.h>

#include "src/base/fail.h"
#include "src/ops/conv_transpose.h"
#include "src/ops/window.h"
#include "src/train/lowering.h"

// Sums of products: convolutions and matrices.

namespace lapidary::train {

namespace {

std::vector<int64_t> spatial(at::IntArrayRef sizes) { return sizes.slice(2).vec(); }

}  // namespace

/// x [N, C, in...], w [M, C/group, kernel...], b [M].
Outputs lower_conv(LowerContext& c) {
  at::Tensor x = c.input(0);
  const at::Tensor& w = c.input(1);
  const WindowAttrs window = read_window(c.attrs(), spatial(w.sizes()));
  const size_t rank = window.rank();
  std::vector<int64_t> pads(rank), padding;  // the same on both sides; by hand, last axis first
  bool even = true;
  for (size_t i = 0; i < rank; ++i) {
    const WindowAxis axis = resolve_axis(window, i, x.size(static_cast<int64_t>(i) + 2));
    pads[i] = axis.pad_begin;
    even = even && axis.pad_begin == axis.pad_end;
    padding.insert(padding.begin(), {axis.pad_begin, axis.pad_end});
  }
  if (!even) {
    x = at::constant_pad_nd(x, padding, 0);
    pads.assign(rank, 0);
  }
  return {at::convolution(x, w, c.optional(2), window.strides, pads, window.dilations, false,
                          std::vector<int64_t>(rank, 0), c.attrs().get_int("group", 1))};
}

/// x [N, C, in...], w [C, M/group, kernel...], b [M]: the whole sum without padding, and of it the
/// part that the node wants.
Outputs lower_conv_transpose(LowerContext& c) {
  const at::Tensor &x = c.input(0), &w = c.input(1);
  const auto axes = conv_transpose_axes(c.attrs(), x.sizes().vec(), w.sizes().vec());
  std::vector<int64_t> strides, dilations;
  for (const ConvTransposeAxis& axis : axes) {
    strides.push_back(axis.stride);
    dilations.push_back(axis.dilation);
  }
  const std::vector<int64_t> none(axes.size(), 0);
  at::Tensor y = at::convolution(x, w, {}, strides, none, dilations, true, none,
                                 c.attrs().get_int("group", 1));
  std::vector<int64_t> padding;  // negative: cut off
  for (size_t i = axes.size(); i-- > 0;) {
    const int64_t size = y.size(static_cast<int64_t>(i) + 2);
    padding.push_back(-axes[i].pad);
    padding.push_back(axes[i].out + axes[i].pad - size);
  }
  if (std::any_of(padding.begin(), padding.end(), [](int64_t p) { return p != 0; }))
    y = at::constant_pad_nd(y, padding, 0);
  if (c.has(2)) {
    std::vector<int64_t> per_channel(axes.size() + 2, 1);
    per_channel[1] = -1;
    y = y.add(c.input(2).reshape(per_channel));
  }
  return {y};
}

/// alpha A' B' + beta C
Outputs lower_gemm(LowerContext& c) {
  at::Tensor a = c.input(0), b = c.input(1);
  if (c.attrs().get_int("transA", 0) != 0) a = a.t();
  if (c.attrs().get_int("transB", 0) != 0) b = b.t();
  const float alpha = c.attrs().get_float("alpha", 1), beta = c.attrs().get_float("beta", 1);
  if (c.has(2)) return {at::addmm(c.input(2), a, b, beta, alpha)};
  const at::Tensor y = a.mm(b);
  return {alpha == 1 ? y : y.mul(alpha)};
}

Outputs lower_matmul(LowerContext& c) { return {at::matmul(c.input(0), c.input(1))}; }

Outputs lower_einsum(LowerContext& c) {
  std::vector<at::Tensor> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) inputs.push_back(c.input(i));
  return {at::einsum(c.attrs().get_string("equation", ""), inputs)};
}

}  // namespace lapidary::train
