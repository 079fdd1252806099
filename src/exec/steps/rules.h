#pragma once

#include "src/exec/planner.h"
#include "src/exec/steps/common.h"

// The rules that steps.def lists: one function per kind of step, defined in the file of that kind.

namespace lapidary::exec {

#define LAPIDARY_STEP(domain, op, layout, build) bool build(PlanBuilder&, NodeId);
#include "src/exec/steps/steps.def"
#undef LAPIDARY_STEP

// What several rules share.
/// Gather of indices that are no constants that follow each other.
bool build_gather_rows(PlanBuilder& b, NodeId id);
/// QLinearMatMul and MatMulIntegerToFloat where neither factor is constant.
bool build_qlinear_matmul_of_two(PlanBuilder& b, NodeId id);
bool build_matmul_integer_to_float_of_two(PlanBuilder& b, NodeId id);
/// An operand of a broadcasting step: in the step's layout where it has the result's rank.
Operand broadcast_operand(PlanBuilder& b, ValueId id, ValueId y, Layout layout, bool u8);
/// The result over one of the operands where nobody else needs it.
Operand create_over_either(PlanBuilder& b, const Tail& tail, Layout layout, const Operand& left,
                           const Operand& right);

}  // namespace lapidary::exec
