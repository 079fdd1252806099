#pragma once

#include <functional>
#include <vector>

#include "kernels/eltwise_s8/eltwise_s8.h"
#include "src/exec/planner.h"

namespace lapidary::exec {

/// Two broadcast operands and a contiguous result as a list of kernels::Grid calls: the two
/// innermost joined axes are the grid, those outside it are steps between grids. All in elements.
struct GridPlan {
  struct Outer {
    int64_t size, a, b, y;
  };
  std::vector<Outer> outer;
  kernels::Grid grid;

  /// Calls f(grid, a_offset, b_offset, y_offset) on pieces that cover everything, on the run's
  /// threads.
  void for_each(
      const StepRun& run,
      const std::function<void(const kernels::Grid&, int64_t, int64_t, int64_t)>& f) const;
};

/// The layout of a step that broadcasts two values into a third: `wanted`, or row-major where an
/// operand would not be read one element after the other.
Layout broadcast_layout(const PlanBuilder& b, ValueId left, ValueId right, ValueId y,
                        Layout wanted);

/// `a` and `b` broadcast to the shape of `y` (numpy's rule, missing leading axes are 1).
GridPlan plan_grid(const Operand& a, const Operand& b, const Operand& y);

}  // namespace lapidary::exec
