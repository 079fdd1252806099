#include <cstring>

#include "src/exec/steps/copy.h"
#include "src/exec/steps/grain.h"
#include "src/exec/steps/rules.h"
#include "src/ops/movement.h"

namespace lapidary::exec {

namespace {

/// Elements of x as [outer, size, inner], of y as [outer, count, inner], inner in bytes.
struct GatherRows {
  Operand x, indices, y;
  int64_t outer = 1, size = 0, count = 0, inner = 0;
};

template <class Index>
void gather(const GatherRows& g, const StepRun& run) {
  const auto* indices = run.data<const Index>(g.indices);
  const auto* x = run.data<const char>(g.x);
  auto* y = run.data<char>(g.y);
  run.parallel(g.outer * g.count, 1 + kGrainCopied / g.inner, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = normalize_index(indices[r % g.count], g.size, "an index");
      std::memcpy(y + r * g.inner, x + (r / g.count * g.size + at) * g.inner,
                  static_cast<size_t>(g.inner));
    }
  });
}

}  // namespace

/// Any indices, found at run time: an embedding. Throws Error{kInvalid} there where one is outside.
bool build_gather_rows(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), indices = b.input(id, 1), y = b.output(id);
  const DType index = b.dtype(indices);
  if (index != DType::kI64 && index != DType::kI32) return false;
  const Shape shape = b.shape(x);
  int64_t axis = b.attrs(id).get_int("axis", 0);
  axis += axis < 0 ? static_cast<int64_t>(shape.size()) : 0;
  GatherRows g;
  g.x = as_lies(b, x, Layout::kRowMajor);
  g.indices = b.row_major(indices);
  const int64_t bytes = static_cast<int64_t>(dtype_size(g.x.dtype));
  g.size = shape[static_cast<size_t>(axis)];
  g.count = g.indices.count();
  g.inner = g.x.strides()[static_cast<size_t>(axis)] * bytes;
  if (g.inner == 0) return false;
  g.outer = g.x.count() * bytes / (g.inner * g.size);
  g.y = b.create(y, Layout::kRowMajor, g.x.biased);
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = "gather";
  spec.precision = dtype_name(g.x.dtype);
  spec.reads = {g.x, g.indices};
  spec.writes = {g.y};
  spec.run = [g, index](const StepRun& run) {
    index == DType::kI64 ? gather<int64_t>(g, run) : gather<int32_t>(g, run);
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
