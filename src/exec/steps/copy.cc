#include "src/exec/steps/copy.h"

#include <algorithm>
#include <cstring>

#include "kernels/transpose/transpose.h"

namespace lapidary::exec {

namespace {

using kernels::TransposeArgs;

/// y[b, c, r] = x[b, r, c], where a copy is that.
std::optional<TransposeArgs> as_transpose(const StridedCopy& copy) {
  if (copy.axes.size() < 2 || copy.axes.size() > 3) return std::nullopt;
  if (copy.element_bytes != 1 && copy.element_bytes != 4) return std::nullopt;
  const CopyAxis r = copy.axes.back(), c = copy.axes[copy.axes.size() - 2];
  if (c.x != 1 || r.x != c.size || r.y != 1 || c.y != r.size) return std::nullopt;
  TransposeArgs args{.rows = r.size, .cols = c.size};
  if (copy.axes.size() == 3) {
    const CopyAxis batch = copy.axes[0];
    if (batch.x != r.size * c.size || batch.y != batch.x) return std::nullopt;
    args.batch = batch.size;
  }
  return args;
}

void run_move(const StepRun& run, const Move& move, const kernels::TransposeFunctions& kernel) {
  const char* x = run.data<const char>(move.from);
  char* y = run.data<char>(move.to);
  const auto args = as_transpose(move.copy);
  if (!args) return copy_strided(move.copy, x, y, run.threads());
  const auto bytes = static_cast<int64_t>(move.copy.element_bytes);
  run.parallel(args->batch, 1, [&](int64_t begin, int64_t end) {
    TransposeArgs part = *args;
    part.batch_begin = begin;
    part.batch_end = end;
    part.x = x + move.copy.x_offset * bytes;
    part.y = y + move.copy.y_offset * bytes;
    (bytes == 1 ? kernel.bytes1 : kernel.bytes4)(part);
  });
}

void fill_all(char* y, int64_t count, const Tensor& element) {
  const size_t bytes = element.size_bytes();
  if (bytes == 1) {
    std::memset(y, *static_cast<const unsigned char*>(element.raw()), static_cast<size_t>(count));
    return;
  }
  // What is there already, twice as much each time.
  const size_t all = bytes * static_cast<size_t>(count);
  if (all > 0) std::memcpy(y, element.raw(), bytes);
  for (size_t done = bytes; done < all; done *= 2)
    std::memcpy(y + done, y, std::min(done, all - done));
}

}  // namespace

Move make_move(const Operand& from, const Operand& to, std::vector<CopyAxis> axes, int64_t x_offset,
               int64_t y_offset) {
  StridedCopy copy{dtype_size(from.dtype), std::move(axes), x_offset, y_offset};
  std::erase_if(copy.axes, [](const CopyAxis& axis) { return axis.size == 1; });
  std::stable_sort(copy.axes.begin(), copy.axes.end(),
                   [](const CopyAxis& p, const CopyAxis& q) { return p.y > q.y; });
  copy.simplify();
  return {from, to, std::move(copy)};
}

Operand as_lies(PlanBuilder& b, ValueId id, Layout layout) {
  return b.get(id, layout, b.operand(id).biased);
}

void emit_moves(PlanBuilder& b, NodeId id, std::vector<Move> moves, const Tensor* fill) {
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = "copy";
  spec.precision = dtype_name(moves[0].to.dtype);
  for (const Move& move : moves) {
    spec.reads.push_back(move.from);
    if (spec.writes.empty() || spec.writes.back().storage != move.to.storage)
      spec.writes.push_back(move.to);
  }
  const Tensor element = fill ? *fill : Tensor();
  spec.run = [moves = std::move(moves), element,
              kernel = kernels::select_transpose().kernel->call](const StepRun& run) {
    if (!element.empty()) fill_all(run.data<char>(moves[0].to), moves[0].to.count(), element);
    for (const Move& move : moves) run_move(run, move, *kernel);
  };
  b.emit(std::move(spec));
}

}  // namespace lapidary::exec
