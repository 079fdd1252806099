#pragma once

#include <array>
#include <optional>
#include <vector>

#include "src/exec/planner.h"

namespace lapidary::exec {

/// A function of one byte, s8 ones as their bytes plus 128 on both sides.
using Table = std::array<uint8_t, 256>;

/// table[q] = rest[clamp(q, lo, hi)]; no rest where that is clamp(q, lo, hi) itself.
struct ClampedTable {
  int lo = 0, hi = 255;
  std::optional<Table> rest;
};
/// With the narrowest limits.
ClampedTable clamped(const Table& table);

/// Nodes that together compute each element of an 8-bit value from the same element of another and
/// constants alone: Sigmoid and the Mul that makes a SiLU of it, or DequantizeLinear, any float
/// activation and QuantizeLinear.
struct ByteFunction {
  std::vector<NodeId> nodes;  ///< those that nobody else needs, in the order of the graph
  ValueId output;
  Table table;  ///< by the nodes' reference evaluations, so the same on every instruction set
};

/// The longest such function of `x` that the node `through` is part of (none: any). `whole`: nobody
/// else may read x. Values inside are read by nobody else.
std::optional<ByteFunction> byte_function(const PlanBuilder& b, ValueId x, NodeId through,
                                          bool whole);

}  // namespace lapidary::exec
