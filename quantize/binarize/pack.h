#pragma once

#include <cstdint>
#include <vector>

#include "lapidary/tensor.h"

namespace lapidary {

/// A weight of signs, or of signs and zeros, times one factor per output channel (two of learned
/// ternary ones): what is stored of it.
struct CodedWeight {
  Shape shape;               ///< output channels first
  std::vector<int8_t> code;  ///< -1, 0, 1 in row-major order
  /// code > 0 stands for positive[c], code < 0 for -negative[c].
  std::vector<float> positive, negative;
  int64_t channels() const { return shape[0]; }
};

/// Reads a weight whose elements of one channel are all s or -s, or with `ternary` p, 0 or -n;
/// `axis`: of output channels. Throws Error{kInvalid} for other elements.
CodedWeight read_codes(const Tensor& weight, int64_t axis, bool ternary);

/// The codes as a tensor of `shape`, int8 or float32: what src/ops/packed_weights.h packs.
Tensor codes_of(const CodedWeight& weight, DType dtype);

}  // namespace lapidary
