#include <array>

#include "src/exec/steps/copy.h"
#include "src/exec/steps/grain.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

namespace {

/// One axis of the result, and elements between neighbours along it in condition, x and y; 0 where
/// the operand is repeated.
struct WhereAxis {
  int64_t size = 1;
  std::array<int64_t, 3> step{};
};

struct WhereStep {
  std::array<Operand, 3> operands;  ///< condition, x, y
  Operand result;
  std::vector<WhereAxis> outer;
  WhereAxis inner;
};

/// Joins neighbours that are one run in all three operands.
std::vector<WhereAxis> joined_axes(const WhereStep& s) {
  const Shape& shape = s.result.shape;
  std::vector<WhereAxis> axes;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    WhereAxis axis{shape[i], {}};
    for (size_t k = 0; k < 3; ++k) {
      const Operand& o = s.operands[k];
      const size_t missing = shape.size() - o.shape.size();
      if (i >= missing && o.shape[i - missing] != 1) axis.step[k] = o.strides()[i - missing];
    }
    const auto continues = [&](const WhereAxis& before) {
      for (size_t k = 0; k < 3; ++k)
        if (before.step[k] != axis.step[k] * axis.size) return false;
      return true;
    };
    if (!axes.empty() && continues(axes.back()))
      axes.back() = {axes.back().size * axis.size, axis.step};
    else
      axes.push_back(axis);
  }
  return axes;
}

template <class T>
void select(const WhereStep& s, const StepRun& run) {
  const auto* condition = run.data<const uint8_t>(s.operands[0]);
  const auto *x = run.data<const T>(s.operands[1]), *y = run.data<const T>(s.operands[2]);
  auto* out = run.data<T>(s.result);
  const auto [c_step, x_step, y_step] = s.inner.step;
  const int64_t cols = s.inner.size, rows = s.result.count() / cols;
  run.parallel(rows, 1 + kGrainElements / cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      std::array<int64_t, 3> at{};
      int64_t rest = r;
      for (size_t a = s.outer.size(); a-- > 0; rest /= s.outer[a].size)
        for (size_t k = 0; k < 3; ++k) at[k] += rest % s.outer[a].size * s.outer[a].step[k];
      for (int64_t i = 0; i < cols; ++i)
        out[r * cols + i] =
            condition[at[0] + i * c_step] != 0 ? x[at[1] + i * x_step] : y[at[2] + i * y_step];
    }
  });
}

}  // namespace

/// y[i] = condition[i] ? x[i] : y[i], broadcast: masks of attention.
bool build_where(PlanBuilder& b, NodeId id) {
  const size_t bytes = dtype_size(b.dtype(b.output(id)));
  if (b.dtype(b.input(id, 0)) != DType::kBool || (bytes != 1 && bytes != 4 && bytes != 8))
    return false;
  WhereStep s;
  for (size_t k = 0; k < 3; ++k) s.operands[k] = b.row_major(b.input(id, k));
  s.result = b.create(b.output(id), Layout::kRowMajor);
  s.outer = joined_axes(s);
  if (!s.outer.empty()) {
    s.inner = s.outer.back();
    s.outer.pop_back();
  }
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = "where";
  spec.precision = dtype_name(s.result.dtype);
  spec.reads.assign(s.operands.begin(), s.operands.end());
  spec.writes = {s.result};
  spec.run = [s, bytes](const StepRun& run) {
    if (bytes == 1) return select<uint8_t>(s, run);
    bytes == 4 ? select<uint32_t>(s, run) : select<uint64_t>(s, run);
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
