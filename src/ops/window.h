#pragma once

#include <array>
#include <vector>

#include "src/ops/infer.h"

// Sliding windows of convolutions and poolings: strides, dilations, padding.

namespace lapidary {

/// The attributes as they are written, checked: positive, of `rank` (pads: 2 rank) elements.
struct WindowAttrs {
  enum class AutoPad { kNotSet, kSameUpper, kSameLower, kValid };
  AutoPad auto_pad = AutoPad::kNotSet;
  std::vector<int64_t> kernel;  ///< sizes, one per spatial axis
  std::vector<int64_t> strides, dilations;
  std::vector<int64_t> pads;  ///< begins, then ends
  bool ceil_mode = false;

  size_t rank() const { return kernel.size(); }
  /// Input elements that one window spans: (kernel - 1) dilation + 1.
  int64_t span(size_t axis) const;
};
/// Throws Error{kInvalid}; `kernel` as weights or `kernel_shape` say it.
LAPIDARY_API WindowAttrs read_window(const AttrView& attrs, std::vector<int64_t> kernel);

/// Output size along an axis. Throws Error{kInvalid} where no window fits.
Dim window_output(const WindowAttrs& window, size_t axis, const Dim& in);

/// The window along one axis of known size.
struct WindowAxis {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, pad_begin = 0, pad_end = 0;
};
LAPIDARY_API WindowAxis resolve_axis(const WindowAttrs& window, size_t axis, int64_t in);

/// Depth, height, width; leading axes that the tensor lacks are of size 1. `spatial`: input sizes.
/// Throws Error{kUnsupported} for more than three spatial axes.
std::array<WindowAxis, 3> resolve_window(const WindowAttrs& window,
                                         std::span<const int64_t> spatial);

/// Output positions [first, last) whose tap `k` lies inside the input.
struct OutputRange {
  int64_t first = 0, last = 0;
};
OutputRange inside(const WindowAxis& axis, int64_t k);

/// The attribute specs that Conv and the poolings share.
inline constexpr AttrSpec kAutoPadSpec{"auto_pad", AttrKind::kString};
inline constexpr AttrSpec kPadsSpec{"pads", AttrKind::kInts};
inline constexpr AttrSpec kStridesSpec{"strides", AttrKind::kInts};

}  // namespace lapidary
