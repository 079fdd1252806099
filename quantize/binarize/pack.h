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

/// u8 [OC, KH KW ceil(IC / 8)] of a convolution's signs [OC, IC, KH, KW]: bit i % 8, least
/// significant first, of byte (ky KW + kx) ceil(IC / 8) + i / 8 is 1 where the sign is +1. Bits
/// past IC are 1.
Tensor pack_kernel(const CodedWeight& weight);
/// u8 [OC, ceil(n / 8)] of n signs to a channel in row-major order, as before.
Tensor pack_signs(const CodedWeight& weight);
/// u8 [OC, ceil(n / 4)]: two bits each, least significant first, 0: 0, 1: +1, 2: -1; 0 past n.
Tensor pack_ternary(const CodedWeight& weight);

}  // namespace lapidary
