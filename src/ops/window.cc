#include "src/ops/window.h"

#include <algorithm>
#include <limits>

#include "src/base/checked.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

constexpr int64_t kLimit = std::numeric_limits<int32_t>::max();

std::vector<int64_t> read_sizes(const AttrView& attrs, std::string_view name, size_t count,
                                int64_t min, int64_t otherwise) {
  if (!attrs.has(name)) return std::vector<int64_t>(count, otherwise);
  std::vector<int64_t> out = attrs.get_ints(name);
  if (out.size() != count)
    fail_invalid("{} has {} elements {}, expected {}", name, out.size(), shape_text(out), count);
  for (int64_t v : out)
    if (v < min || v > kLimit)
      fail_invalid("{} is {}, each must be {} to {}", name, shape_text(out), min, kLimit);
  return out;
}

WindowAttrs::AutoPad read_auto_pad(const AttrView& attrs) {
  const std::string text = attrs.get_string("auto_pad", "NOTSET");
  if (text == "NOTSET" || text.empty()) return WindowAttrs::AutoPad::kNotSet;
  if (text == "SAME_UPPER") return WindowAttrs::AutoPad::kSameUpper;
  if (text == "SAME_LOWER") return WindowAttrs::AutoPad::kSameLower;
  if (text == "VALID") return WindowAttrs::AutoPad::kValid;
  fail_invalid("auto_pad is '{}', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
               printable(text, 50));
}

bool same(const WindowAttrs& w) {
  return w.auto_pad == WindowAttrs::AutoPad::kSameUpper ||
         w.auto_pad == WindowAttrs::AutoPad::kSameLower;
}

int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); }

int64_t output_size(const WindowAttrs& w, size_t axis, int64_t in) {
  const int64_t stride = w.strides[axis];
  if (same(w)) return ceil_div(in, stride);
  const bool explicit_pads = w.auto_pad == WindowAttrs::AutoPad::kNotSet;
  const int64_t begin = explicit_pads ? w.pads[axis] : 0;
  const int64_t end = explicit_pads ? w.pads[axis + w.rank()] : 0;
  const int64_t padded = checked_add(in, begin + end);
  const int64_t room = padded - w.span(axis);
  if (room < 0)
    fail_invalid("a window of {} does not fit spatial axis {} of size {} with pads {} and {}",
                 w.span(axis), axis, in, begin, end);
  if (!w.ceil_mode) return room / stride + 1;
  const int64_t out = ceil_div(room, stride) + 1;
  // The last window must begin inside the input or its leading padding.
  return (out - 1) * stride >= in + begin ? out - 1 : out;
}

}  // namespace

int64_t WindowAttrs::span(size_t axis) const { return (kernel[axis] - 1) * dilations[axis] + 1; }

WindowAttrs read_window(const AttrView& attrs, std::vector<int64_t> kernel) {
  const size_t rank = kernel.size();
  for (int64_t k : kernel)
    if (k < 1 || k > kLimit)
      fail_invalid("kernel {}, each size must be 1 to {}", shape_text(kernel), kLimit);
  return {.auto_pad = read_auto_pad(attrs),
          .kernel = std::move(kernel),
          .strides = read_sizes(attrs, "strides", rank, 1, 1),
          .dilations = read_sizes(attrs, "dilations", rank, 1, 1),
          .pads = read_sizes(attrs, "pads", 2 * rank, 0, 0),
          .ceil_mode = attrs.get_int("ceil_mode", 0) != 0};
}

Dim window_output(const WindowAttrs& window, size_t axis, const Dim& in) {
  if (in.known()) return output_size(window, axis, in.value);
  const bool unpadded = window.pads[axis] + window.pads[axis + window.rank()] == 0;
  const bool keeps =
      window.strides[axis] == 1 &&
      (same(window) ||
       (window.auto_pad == WindowAttrs::AutoPad::kNotSet &&
        window.pads[axis] + window.pads[axis + window.rank()] == window.span(axis) - 1) ||
       (unpadded && window.span(axis) == 1));
  return keeps ? in : Dim();
}

WindowAxis resolve_axis(const WindowAttrs& w, size_t axis, int64_t in) {
  WindowAxis out{.in = in,
                 .out = output_size(w, axis, in),
                 .kernel = w.kernel[axis],
                 .stride = w.strides[axis],
                 .dilation = w.dilations[axis]};
  if (same(w)) {
    const int64_t total = std::max<int64_t>(0, (out.out - 1) * out.stride + w.span(axis) - in);
    out.pad_begin = w.auto_pad == WindowAttrs::AutoPad::kSameUpper ? total / 2 : total - total / 2;
    out.pad_end = total - out.pad_begin;
  } else if (w.auto_pad == WindowAttrs::AutoPad::kNotSet) {
    out.pad_begin = w.pads[axis];
    out.pad_end = w.pads[axis + w.rank()];
  }
  return out;
}

std::array<WindowAxis, 3> resolve_window(const WindowAttrs& window,
                                         std::span<const int64_t> spatial) {
  if (spatial.size() > 3) fail_unsupported("{} spatial axes; up to 3 are computed", spatial.size());
  std::array<WindowAxis, 3> out{};
  for (size_t i = 0; i < spatial.size(); ++i)
    out[3 - spatial.size() + i] = resolve_axis(window, i, spatial[i]);
  return out;
}

OutputRange inside(const WindowAxis& axis, int64_t k) {
  // 0 <= o stride + k dilation - pad < in
  const int64_t shift = axis.pad_begin - k * axis.dilation;
  const int64_t first = shift <= 0 ? 0 : ceil_div(shift, axis.stride);
  const int64_t end = axis.in + shift;
  const int64_t last = end <= 0 ? 0 : ceil_div(end, axis.stride);
  return {std::min(first, axis.out),
          std::clamp<int64_t>(last, std::min(first, axis.out), axis.out)};
}

}  // namespace lapidary
