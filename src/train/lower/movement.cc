#include <ATen/ops/broadcast_tensors.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/scatter.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <numeric>

#include "src/base/fail.h"
#include "src/ops/resize.h"
#include "src/train/lowering.h"

// Elements that change place: shapes, slices, indices, paddings, resampling.

namespace lapidary::train {

namespace {

int64_t positive(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// x with the elements `indices` of an axis, in that order.
at::Tensor take(const at::Tensor& x, int64_t axis, const std::vector<int64_t>& indices) {
  return x.index_select(axis, at::tensor(indices).to(x.device()));
}

at::Tensor wrapped(const at::Tensor& indices, int64_t size) {
  const at::Tensor wide = indices.to(at::kLong);
  return at::where(wide.lt(0), wide.add(size), wide);
}

}  // namespace

// -- shapes

Outputs lower_reshape(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  std::vector<int64_t> shape = c.ints(1);
  if (c.attrs().get_int("allowzero", 0) == 0)
    for (size_t i = 0; i < shape.size(); ++i)
      if (shape[i] == 0) shape[i] = x.size(static_cast<int64_t>(i));
  return {x.reshape(shape)};
}

Outputs lower_flatten(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const int64_t axis = positive(c.attrs().get_int("axis", 1), x.dim());
  int64_t rows = 1;
  for (int64_t i = 0; i < axis; ++i) rows *= x.size(i);
  return {x.reshape({rows, rows == 0 ? 0 : x.numel() / rows})};
}

Outputs lower_transpose(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  std::vector<int64_t> perm(static_cast<size_t>(x.dim()));
  std::iota(perm.rbegin(), perm.rend(), int64_t{0});
  return {x.permute(c.attrs().get_ints("perm", perm))};
}

Outputs lower_squeeze(LowerContext& c) {
  at::Tensor y = c.input(0);
  std::vector<int64_t> axes;
  if (c.has(1)) axes = c.ints(1);
  for (int64_t i = 0; !c.has(1) && i < y.dim(); ++i)
    if (y.size(i) == 1) axes.push_back(i);
  for (int64_t& axis : axes) axis = positive(axis, y.dim());
  std::sort(axes.rbegin(), axes.rend());
  for (const int64_t axis : axes) {
    if (y.size(axis) != 1) fail_invalid("axis {} is of size {}, expected 1", axis, y.size(axis));
    y = y.squeeze(axis);
  }
  return {y};
}

Outputs lower_unsqueeze(LowerContext& c) {
  at::Tensor y = c.input(0);
  std::vector<int64_t> axes = c.ints(1);
  for (int64_t& axis : axes) axis = positive(axis, y.dim() + static_cast<int64_t>(axes.size()));
  std::sort(axes.begin(), axes.end());
  for (const int64_t axis : axes) y = y.unsqueeze(axis);
  return {y};
}

/// Both shapes broadcast to each other.
Outputs lower_expand(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  std::vector<int64_t> shape = c.ints(1);
  const size_t rank = std::max(shape.size(), static_cast<size_t>(x.dim()));
  shape.insert(shape.begin(), rank - shape.size(), 1);
  for (size_t i = 0; i < static_cast<size_t>(x.dim()); ++i) {
    int64_t& size = shape[rank - 1 - i];
    if (size == 1) size = x.size(-1 - static_cast<int64_t>(i));
  }
  return {x.expand(shape)};
}

Outputs lower_tile(LowerContext& c) { return {c.input(0).repeat(c.ints(1))}; }

// -- parts

Outputs lower_concat(LowerContext& c) {
  std::vector<at::Tensor> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) inputs.push_back(c.input(i));
  return {at::cat(inputs, c.attrs().get_int("axis", 0))};
}

Outputs lower_split(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const int64_t axis = positive(c.attrs().get_int("axis", 0), x.dim()), size = x.size(axis);
  std::vector<int64_t> sizes = c.has(1) ? c.ints(1) : std::vector<int64_t>{};
  if (sizes.empty()) {  // equal parts, the last one smaller
    const auto parts = static_cast<int64_t>(c.output_count());
    for (int64_t i = 0, part = (size + parts - 1) / parts; i < parts; ++i)
      sizes.push_back(std::min(part, size - i * part));
  }
  Outputs out;
  int64_t from = 0;
  for (const int64_t part : sizes) {
    out.push_back(x.narrow(axis, from, part));
    from += part;
  }
  return out;
}

Outputs lower_slice(LowerContext& c) {
  at::Tensor y = c.input(0);
  const std::vector<int64_t> starts = c.ints(1), ends = c.ints(2);
  std::vector<int64_t> axes(starts.size());
  std::iota(axes.begin(), axes.end(), int64_t{0});
  if (c.has(3)) axes = c.ints(3);
  const std::vector<int64_t> steps = c.has(4) ? c.ints(4) : std::vector<int64_t>(starts.size(), 1);
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t axis = positive(axes[i], y.dim()), size = y.size(axis), step = steps[i];
    const auto clamped = [&](int64_t at, int64_t low, int64_t high) {
      return std::clamp(at < 0 ? at + size : at, low, high);
    };
    if (step > 0) {
      const int64_t start = clamped(starts[i], 0, size);
      y = y.slice(axis, start, std::max(start, clamped(ends[i], 0, size)), step);
      continue;
    }
    std::vector<int64_t> indices;
    const int64_t end = clamped(ends[i], -1, size - 1);
    for (int64_t at = clamped(starts[i], 0, size - 1); at > end; at += step) indices.push_back(at);
    y = take(y, axis, indices);
  }
  return {y};
}

/// data [..., axis, ...], indices of any shape in place of the axis.
Outputs lower_gather(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const int64_t axis = positive(c.attrs().get_int("axis", 0), x.dim());
  const at::Tensor indices = wrapped(c.input(1), x.size(axis));
  std::vector<int64_t> shape = x.sizes().vec();
  const auto at = shape.erase(shape.begin() + axis);
  shape.insert(at, indices.sizes().begin(), indices.sizes().end());
  return {x.index_select(axis, indices.reshape({-1})).reshape(shape)};
}

Outputs lower_gather_elements(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const int64_t axis = positive(c.attrs().get_int("axis", 0), x.dim());
  return {at::gather(x, axis, wrapped(c.input(1), x.size(axis)))};
}

std::string refuse_scatter_elements(const AttrView& attrs) {
  const std::string reduction = attrs.get_string("reduction", "none");
  return reduction == "none" || reduction == "add" ? "" : "reduction = " + reduction;
}

Outputs lower_scatter_elements(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const int64_t axis = positive(c.attrs().get_int("axis", 0), x.dim());
  const at::Tensor indices = wrapped(c.input(1), x.size(axis));
  if (c.attrs().get_string("reduction", "none") == "add")
    return {x.scatter_add(axis, indices, c.input(2))};
  return {x.scatter(axis, indices, c.input(2))};
}

Outputs lower_trilu(LowerContext& c) {
  const int64_t k = c.has(1) ? c.ints(1)[0] : 0;
  return {c.attrs().get_int("upper", 1) != 0 ? c.input(0).triu(k) : c.input(0).tril(k)};
}

// -- blocks: [N, C b^2, H, W] <-> [N, C, H b, W b]

Outputs lower_depth_to_space(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const int64_t n = x.size(0), h = x.size(2), w = x.size(3);
  const int64_t b = c.attrs().get_int("blocksize", 1), channels = x.size(1) / (b * b);
  const bool crd = c.attrs().get_string("mode", "DCR") == "CRD";
  const at::Tensor y = crd ? x.reshape({n, channels, b, b, h, w}).permute({0, 1, 4, 2, 5, 3})
                           : x.reshape({n, b, b, channels, h, w}).permute({0, 3, 4, 1, 5, 2});
  return {y.reshape({n, channels, h * b, w * b})};
}

Outputs lower_space_to_depth(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const int64_t n = x.size(0), channels = x.size(1), b = c.attrs().get_int("blocksize", 1);
  const int64_t h = x.size(2) / b, w = x.size(3) / b;
  return {x.reshape({n, channels, h, b, w, b})
              .permute({0, 3, 5, 1, 2, 4})
              .reshape({n, channels * b * b, h, w})};
}

// -- padding

namespace {

/// Where the element at `at` (from -before to size + after) of a padded axis comes from.
int64_t source(const std::string& mode, int64_t at, int64_t size) {
  if (mode == "edge") return std::clamp<int64_t>(at, 0, size - 1);
  if (mode == "wrap") return ((at % size) + size) % size;
  if (size == 1) return 0;  // reflect: ... 2 1 [0 1 2] 1 0 ...
  const int64_t period = 2 * (size - 1), in = ((at % period) + period) % period;
  return in < size ? in : period - in;
}

}  // namespace

/// pads: begins, then ends, of `axes` or of all; negative ones cut off.
Outputs lower_pad(LowerContext& c) {
  at::Tensor y = c.input(0);
  const std::vector<int64_t> pads = c.ints(1);
  std::vector<int64_t> axes(pads.size() / 2);
  std::iota(axes.begin(), axes.end(), int64_t{0});
  if (c.has(3)) axes = c.ints(3);
  const std::string mode = c.attrs().get_string("mode", "constant");
  std::vector<int64_t> around(2 * static_cast<size_t>(y.dim()), 0);  // last axis first
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = positive(axes[i], y.dim()), size = y.size(axis);
    const int64_t before = pads[i], after = pads[i + axes.size()];
    const auto slot = static_cast<size_t>(2 * (y.dim() - 1 - axis));
    around[slot] = before;
    around[slot + 1] = after;
    if (mode == "constant" || (before == 0 && after == 0)) continue;
    std::vector<int64_t> indices;
    for (int64_t at = -before; at < size + after; ++at) indices.push_back(source(mode, at, size));
    y = take(y, axis, indices);
  }
  if (mode != "constant") return {y};
  return {at::constant_pad_nd(y, around, c.has(2) ? c.floats(2)[0] : 0.f)};
}

// -- resampling: separable, one axis after the other

namespace {

/// The elements `taps` of an axis times their weights.
at::Tensor resample(const at::Tensor& x, int64_t axis, const std::vector<ResizeTaps>& taps) {
  size_t most = 0;
  for (const ResizeTaps& each : taps) most = std::max(most, each.size());
  at::Tensor sum;
  for (size_t k = 0; k < most; ++k) {
    std::vector<int64_t> indices;
    std::vector<float> weights;
    for (const ResizeTaps& each : taps) {
      indices.push_back(k < each.size() ? each[k].at : 0);
      weights.push_back(k < each.size() ? each[k].weight : 0);
    }
    at::Tensor term = take(x, axis, indices);
    if (std::any_of(weights.begin(), weights.end(), [](float w) { return w != 1; })) {
      std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
      shape[static_cast<size_t>(axis)] = -1;
      term = term.mul(at::tensor(weights).to(x.device()).reshape(shape));
    }
    sum = sum.defined() ? sum.add(term) : term;
  }
  return sum;
}

}  // namespace

std::string refuse_resize(const AttrView& attrs) {
  return read_resize_rules(attrs).coordinates == "tf_crop_and_resize"
             ? "coordinate_transformation_mode = tf_crop_and_resize"
             : "";
}

Outputs lower_resize(LowerContext& c) {
  at::Tensor y = c.input(0);
  const ResizeSlots slots = resize_slots(c.attrs());
  const ResizeRules rules = read_resize_rules(c.attrs());
  const std::vector<float> scales =
      c.has(slots.scales) ? c.floats(slots.scales) : std::vector<float>{};
  const std::vector<int64_t> sizes =
      slots.sizes != 0 && c.has(slots.sizes) ? c.ints(slots.sizes) : std::vector<int64_t>{};
  const auto axes = resize_axes(c.attrs(), y.sizes(), scales, sizes, {});
  for (size_t i = 0; i < axes.size(); ++i)
    if (!axes[i].unchanged()) y = resample(y, static_cast<int64_t>(i), resize_taps(rules, axes[i]));
  return {y};
}

}  // namespace lapidary::train
