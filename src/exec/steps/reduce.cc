#include <algorithm>

#include "kernels/lane_sum.h"
#include "kernels/softmax_f32/softmax_f32.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/grain.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

namespace {

/// `rows` of `cols` elements, one after the other.
void emit_rows(PlanBuilder& b, NodeId id, const Operand& in, const Operand& out, int64_t rows,
               int64_t cols, std::string kernel,
               std::function<void(const float* x, float* y, int64_t row)> row_of) {
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = std::move(kernel);
  spec.reads = {in};
  spec.writes = {out};
  spec.run = [=](const StepRun& run) {
    run.parallel(rows, 1 + kGrainReduced / cols, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        row_of(run.data<const float>(in), run.data<float>(out), r);
    });
  };
  b.emit(std::move(spec));
}

std::optional<std::vector<int64_t>> reduced_axes(const PlanBuilder& b, NodeId id, int64_t rank) {
  std::vector<int64_t> axes = b.attrs(id).get_ints("axes");
  if (b.input(id, 1)) {
    const Tensor* t = b.constant(b.input(id, 1));
    if (t == nullptr || t->dtype() != DType::kI64) return std::nullopt;
    axes.assign(t->data<int64_t>().begin(), t->data<int64_t>().end());
  }
  for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  std::sort(axes.begin(), axes.end());
  return axes;
}

}  // namespace

bool build_softmax(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  if (b.dtype(x) != DType::kF32) return false;
  const Shape shape = b.shape(x);
  const int64_t rank = static_cast<int64_t>(shape.size());
  const int version = b.attrs(id).version();
  int64_t axis = b.attrs(id).get_int("axis", version < 13 ? 1 : -1);
  if (axis < 0) axis += rank;
  // Before opset 13 the axes from `axis` on were one.
  int64_t inner = 1;
  for (int64_t i = axis + 1; i < rank; ++i) inner *= shape[static_cast<size_t>(i)];
  if (version >= 13 && inner != 1) return false;
  const int64_t cols = (rank == 0 ? 1 : shape[static_cast<size_t>(axis)]) * inner;
  const Operand in = b.row_major(x);
  const Operand out = b.create_over(y, in, std::span(&id, 1));
  const auto* kernel = kernels::select_softmax_f32().kernel;
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = kernel->row.name;
  spec.reads = {in};
  spec.writes = {out};
  spec.run = [=, rows = in.count() / cols](const StepRun& run) {
    run.parallel(rows, 1 + kGrainReduced / cols, [&](int64_t begin, int64_t end) {
      kernel->call->softmax({.rows = end - begin,
                             .cols = cols,
                             .x = run.data<const float>(in) + begin * cols,
                             .y = run.data<float>(out) + begin * cols});
    });
  };
  b.emit(std::move(spec));
  return true;
}

/// Means over the last axes.
bool build_reduce_mean(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  if (b.dtype(x) != DType::kF32) return false;
  const Shape shape = b.shape(x);
  const int64_t rank = static_cast<int64_t>(shape.size());
  const auto axes = reduced_axes(b, id, rank);
  if (!axes || axes->empty()) return false;
  int64_t cols = 1;
  for (size_t i = 0; i < axes->size(); ++i) {
    const int64_t expected = rank - static_cast<int64_t>(axes->size()) + static_cast<int64_t>(i);
    if ((*axes)[i] != expected) return false;
    cols *= shape[static_cast<size_t>(expected)];
  }
  const Operand in = b.row_major(x);
  const Operand out = b.create(y, Layout::kRowMajor);
  emit_rows(b, id, in, out, in.count() / cols, cols, "reduce_mean_f32",
            [cols](const float* from, float* to, int64_t row) {
              const float* x = from + row * cols;
              to[row] = kernels::lane_sum(cols, [x](int64_t i) { return x[i]; }) /
                        static_cast<float>(cols);
            });
  return true;
}

}  // namespace lapidary::exec
