#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/ops/opdef.h"

// The geometry of Resize and Upsample: which input elements, with which weights, make an output
// element. Interpolation is separable, so it is said per axis.

namespace lapidary {

enum class ResizeMode { kNearest, kLinear, kCubic };

/// What a node says about how to resample, whatever its version.
struct ResizeRules {
  ResizeMode mode = ResizeMode::kNearest;
  std::string coordinates;  ///< coordinate_transformation_mode
  std::string nearest;  ///< nearest_mode, or "simple": floor growing, ceil shrinking (version 10)
  float cubic_a = -0.75f;
  bool exclude_outside = false;
  bool antialias = false;
  float extrapolation = 0;
};

/// Throws Error{kInvalid} for words that the version does not have.
LAPIDARY_API ResizeRules read_resize_rules(const AttrView& attrs);

/// One axis of `in` elements that becomes `out`; `scale` may be no exact quotient of the two.
struct ResizeAxis {
  int64_t in = 0, out = 0;
  float scale = 1;
  float roi_start = 0, roi_end = 1;

  bool unchanged() const { return in == out && scale == 1; }
};

/// Inputs that hold the region of interest, scales and sizes; 0: the version has no such input
/// (Upsample-7 has an attribute `scales`).
struct ResizeSlots {
  size_t roi = 0, scales = 0, sizes = 0;
};
LAPIDARY_API ResizeSlots resize_slots(const AttrView& attrs);

struct ResizeTap {
  int64_t at = 0;
  float weight = 1;
};
/// The input elements that make one output position; none: outside, the extrapolation value.
using ResizeTaps = std::vector<ResizeTap>;

/// Taps of every output position of one axis.
LAPIDARY_API std::vector<ResizeTaps> resize_taps(const ResizeRules& rules, const ResizeAxis& axis);

/// An axis that becomes floor(in * scale). Throws Error{kInvalid} for a scale not above 0.
ResizeAxis scaled_axis(int64_t in, float scale);

/// The axes that scales and sizes list: the attribute `axes` (version 18), or all.
std::vector<int64_t> touched_axes(const AttrView& attrs, int64_t rank);

/// All axes of a Resize or Upsample on an input of `shape`; scales, sizes and roi as the
/// node gives them (empty: absent). Throws Error{kInvalid} where they do not fit.
LAPIDARY_API std::vector<ResizeAxis> resize_axes(const AttrView& attrs, std::span<const int64_t> shape,
                                    std::span<const float> scales, std::span<const int64_t> sizes,
                                    std::span<const float> roi);

}  // namespace lapidary
