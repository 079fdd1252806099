#pragma once

#include <span>

#include "src/exec/planner.h"
#include "src/exec/strided.h"

namespace lapidary::exec {

/// One copy of a step that moves elements: `operand` is its source (or, with one source and many
/// targets, its target).
struct Move {
  Operand from, to;
  StridedCopy copy;
};

/// Appends a step of moves; `fill` elements (by their bytes) are written to all of a target first
/// where given.
void emit_moves(PlanBuilder& b, NodeId id, std::vector<Move> moves, const Tensor* fill = nullptr);

/// The copy of all of `from` whose axes are `axes`; simplified, innermost axis of the target last.
Move make_move(const Operand& from, const Operand& to, std::vector<CopyAxis> axes,
               int64_t x_offset = 0, int64_t y_offset = 0);

/// The value's own layout and bias: movers take s8 as it lies.
Operand as_lies(PlanBuilder& b, ValueId id, Layout layout);

}  // namespace lapidary::exec
