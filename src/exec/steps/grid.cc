#include "src/exec/steps/grid.h"
#include "src/exec/steps/grain.h"

#include <algorithm>

namespace lapidary::exec {

namespace {

struct Axis {
  int64_t size, a, b, y;
};

/// Strides of `operand` along the axes of a shape of `rank`, 0 where it is repeated.
std::vector<int64_t> strides_in(const Operand& operand, size_t rank) {
  const auto own = operand.strides();
  std::vector<int64_t> out(rank, 0);
  const size_t missing = rank - own.size();
  for (size_t axis = 0; axis < own.size(); ++axis)
    if (operand.shape[axis] != 1) out[missing + axis] = own[axis];
  return out;
}

}  // namespace

GridPlan plan_grid(const Operand& a, const Operand& b, const Operand& y) {
  const size_t rank = y.shape.size();
  const auto sa = strides_in(a, rank), sb = strides_in(b, rank), sy = y.strides();
  std::vector<Axis> axes;
  for (size_t i = 0; i < rank; ++i)
    if (y.shape[i] != 1) axes.push_back({y.shape[i], sa[i], sb[i], sy[i]});
  std::stable_sort(axes.begin(), axes.end(),
                   [](const Axis& p, const Axis& q) { return p.y > q.y; });
  std::vector<Axis> joined;
  for (const Axis& axis : axes) {
    Axis* last = joined.empty() ? nullptr : &joined.back();
    if (last && last->a == axis.a * axis.size && last->b == axis.b * axis.size &&
        last->y == axis.y * axis.size)
      *last = {last->size * axis.size, axis.a, axis.b, axis.y};
    else
      joined.push_back(axis);
  }
  GridPlan plan;
  plan.grid.cols = 1;
  if (!joined.empty()) {
    const Axis& axis = joined.back();
    plan.grid.cols = axis.size;
    plan.grid.a_step = axis.a;
    plan.grid.b_step = axis.b;
    joined.pop_back();
  }
  plan.grid.y_row = plan.grid.cols;
  if (!joined.empty()) {
    const Axis& axis = joined.back();
    plan.grid.rows = axis.size;
    plan.grid.a_row = axis.a;
    plan.grid.b_row = axis.b;
    plan.grid.y_row = axis.y;
    joined.pop_back();
  }
  for (const Axis& axis : joined) plan.outer.push_back({axis.size, axis.a, axis.b, axis.y});
  return plan;
}

Layout broadcast_layout(const PlanBuilder& b, ValueId left, ValueId right, ValueId y,
                        Layout wanted) {
  const auto lies = [&](ValueId v) {
    const bool same_rank = b.shape(v).size() == b.shape(y).size();
    return Operand{0, b.dtype(v), b.shape(v), same_rank ? wanted : Layout::kRowMajor};
  };
  const kernels::Grid grid = plan_grid(lies(left), lies(right), lies(y)).grid;
  return grid.a_step <= 1 && grid.b_step <= 1 ? wanted : Layout::kRowMajor;
}

void GridPlan::for_each(
    const StepRun& run,
    const std::function<void(const kernels::Grid&, int64_t, int64_t, int64_t)>& f) const {
  int64_t grids = 1;
  for (const Outer& axis : outer) grids *= axis.size;
  if (grids == 1 && grid.rows == 1) {
    run.parallel(grid.cols, kGrainElements, [&](int64_t begin, int64_t end) {
      kernels::Grid part = grid;
      part.cols = end - begin;
      f(part, begin * grid.a_step, begin * grid.b_step, begin);
    });
    return;
  }
  const auto one_grid = [&](int64_t index, int64_t row_begin, int64_t row_end) {
    int64_t a = row_begin * grid.a_row, b = row_begin * grid.b_row, y = row_begin * grid.y_row;
    for (size_t i = outer.size(); i-- > 0;) {
      const int64_t at = index % outer[i].size;
      index /= outer[i].size;
      a += at * outer[i].a;
      b += at * outer[i].b;
      y += at * outer[i].y;
    }
    kernels::Grid part = grid;
    part.rows = row_end - row_begin;
    f(part, a, b, y);
  };
  const int64_t grain = 1 + kGrainElements / grid.cols;
  run.parallel(grids * grid.rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end;) {
      const int64_t index = at / grid.rows, row = at % grid.rows;
      const int64_t rows = std::min(grid.rows - row, end - at);
      one_grid(index, row, row + rows);
      at += rows;
    }
  });
}

}  // namespace lapidary::exec
