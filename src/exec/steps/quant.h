#pragma once

#include <optional>
#include <vector>

#include "src/exec/planner.h"
#include "src/exec/steps/byte_function.h"

namespace lapidary::exec {

inline bool is_byte(DType t) { return t == DType::kU8 || t == DType::kI8; }

/// A tensor's one scale and zero point as the kernels see them: s8 ones with 128 added.
struct ByteParams {
  float scale = 1;
  int zero = 0;
  bool operator==(const ByteParams&) const = default;
};
/// None unless both are constants of one element (an absent zero point is 0) of an 8-bit tensor of
/// type `storage`.
std::optional<ByteParams> byte_params(const PlanBuilder& b, ValueId scale, ValueId zero,
                                      DType storage);

/// Scale and zero point of inputs `at`, `at` + 1, for a tensor of that type.
inline std::optional<ByteParams> byte_params(const PlanBuilder& b, NodeId id, size_t at,
                                             DType storage) {
  return byte_params(b, b.input(id, at), b.input(id, at + 1), storage);
}

/// y = sat(rint((q - zx) * sx / sy) + zy), true division.
Table requantize_table(const ByteParams& x, const ByteParams& y);

/// second(first(q))
Table composed(const Table& first, const Table& second);

/// 128 for s8 tensors, which the kernels see with 128 added.
inline int byte_shift(DType storage) { return storage == DType::kI8 ? 128 : 0; }

/// What follows an integer node in its epilogue: a table, then (for convolutions) QLinearAdd with a
/// value already computed, and what only clamps the sum.
struct ByteTail {
  std::vector<NodeId> nodes;  ///< the node itself first
  ValueId output;
  std::optional<Table> table;
  NodeId add;           ///< the QLinearAdd, or none
  size_t add_slot = 0;  ///< of the tail's own value among the add's inputs: 0 or 3
  int add_lo = 0, add_hi = 255;
};
ByteTail byte_tail(const PlanBuilder& b, NodeId id, bool residual);

/// A function of all of an 8-bit value that only clamps it.
struct ByteClamp {
  std::vector<NodeId> nodes;  ///< none where no such function follows
  ValueId output;             ///< the value itself where there is none
  int lo = 0, hi = 255;
};
ByteClamp byte_clamp(const PlanBuilder& b, ValueId x);

}  // namespace lapidary::exec
