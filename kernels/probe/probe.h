#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

/// One kind of multiply-accumulate, from registers and first-level cache, with enough accumulators
/// to hide its latency: what a core can do at most.
struct ProbeLoop {
  int64_t macs = 0;  ///< of one round
  /// Does `rounds` rounds over one vector of each operand and returns the sum of all accumulators:
  /// rounds * macs * a * b where all elements of an operand are equal (int32 lanes wrap; float32
  /// lanes are exact below 2^24). Operands are 64-byte aligned, 64 bytes each.
  double (*run)(const void* a, const void* b, int64_t rounds) = nullptr;
};

/// Null where the row has no instruction for it.
struct ProbeFunctions {
  /// a u8 (below 128 where the row multiplies s8 by s8), b s8, sums int32, exact. Rows without a
  /// dot product widen to 16 bits.
  ProbeLoop int8;
  ProbeLoop f32;   ///< float32; a row without FMA multiplies and adds
  ProbeLoop bf16;  ///< a and b bfloat16, sums float32
  /// The XOR of the 64-bit words of x, every byte read once; `bytes` is a multiple of 64, x 64-byte
  /// aligned.
  uint64_t (*read)(const void* x, int64_t bytes) = nullptr;
};
struct ProbeKernel {
  RowInfo row;
  const ProbeFunctions* call;
};

std::span<const ProbeKernel> probe_kernels();

}  // namespace lapidary::kernels
