#pragma once

#include <string_view>

#include "src/exec/planner.h"

namespace lapidary::exec {

/// What a rule wants of the layout of values of rank >= 3.
enum class LayoutRole {
  kPlain,    ///< row-major, or none of its business
  kWindow,   ///< reads and writes channels last
  kFollows,  ///< works in any layout
};

/// How nodes of one op become steps. A rule is asked only where all types are static and no tensor
/// is empty; false: the node is left to the reference evaluation.
struct StepRule {
  std::string_view domain, op;
  LayoutRole layout;
  bool (*build)(PlanBuilder&, NodeId);
};

/// Null where the op has none.
const StepRule* find_step_rule(std::string_view domain, std::string_view op);

}  // namespace lapidary::exec
