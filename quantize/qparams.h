#pragma once

#include <span>
#include <string>
#include <vector>

#include "lapidary/calibrate.h"
#include "lapidary/graph.h"

namespace lapidary {

/// What is asked of a tensor's integers; QuantParams is what was found.
struct QuantScheme {
  int bits = 8;
  bool is_signed = false;
  bool symmetric = false;     ///< zero point 0 (signed) or the middle (unsigned)
  bool narrow_range = false;  ///< signed: -2^(bits-1) is left out
  int64_t axis = -1;          ///< one scale per slice along it; -1: one for the tensor

  int32_t qmin() const;
  int32_t qmax() const;
  DType storage() const;
  bool operator==(const QuantScheme&) const = default;
};

/// Scales are never below this: the product of two of them is a normal float32.
inline constexpr float kLeastScale = 0x1p-60f;

/// Scale and zero point that cover a range, zero included and exact:
///   asymmetric  s = (high - low) / (qmax - qmin),  z = clamp(rint(qmin - low / s), qmin, qmax)
///   symmetric   s = 2 max(-low, high) / (steps of the symmetric part),  z = 0 or the middle
/// An empty range (both ends 0) gets scale 1. Throws Error{kInvalid} for a range that is not
/// finite.
QuantParams choose_qparams(const Range& range, const QuantScheme& scheme);
/// One range per slice along scheme.axis.
QuantParams choose_qparams(std::span<const Range> ranges, const QuantScheme& scheme);

/// The reals that the integers reach: (qmin - z) s and (qmax - z) s of slice `i`.
Range covered_range(const QuantParams& params, size_t i = 0);

/// Slices of a tensor along an axis: outer x count x inner elements.
struct Slices {
  int64_t outer = 1, count = 1, inner = 1;
};
Slices slices_of(std::span<const int64_t> shape, int64_t axis);

/// q = clamp(rint(x / s) + z, qmin, qmax), per tensor or per slice.
Tensor quantize_tensor(const Tensor& real, const QuantParams& params);
/// (q - z) s in float32.
Tensor dequantize_tensor(const Tensor& stored, const QuantParams& params);

}  // namespace lapidary
