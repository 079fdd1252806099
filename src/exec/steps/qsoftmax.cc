#include "src/exec/steps/grain.h"
#include "src/exec/steps/quant.h"
#include "src/exec/steps/rules.h"
#include "src/ops/qlinear_softmax.h"

namespace lapidary::exec {

/// com.microsoft QLinearSoftmax: x, x_scale, x_zero, y_scale, y_zero.
bool build_qlinear_softmax(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  const auto from = byte_params(b, id, 1, b.dtype(x)), to = byte_params(b, id, 3, b.dtype(y));
  if (!from || !to) return false;
  const Shape shape = b.shape(x);
  const auto rank = static_cast<int64_t>(shape.size());
  const bool one_axis = b.attrs(id).get_int("opset", 13) >= 13;
  int64_t axis = b.attrs(id).get_int("axis", one_axis ? -1 : 1);
  axis += axis < 0 ? rank : 0;
  const int64_t after = element_count(std::span(shape).subspan(static_cast<size_t>(axis + 1)));
  const int64_t length = shape[static_cast<size_t>(axis)] * (one_axis ? 1 : after);
  const int64_t inner = one_axis ? after : 1;

  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = "softmax_u8";
  spec.precision = "int8";
  const Operand in = b.get_u8(x, Layout::kRowMajor);
  const Operand out = b.create_over(y, in, spec.nodes);
  spec.reads = {in};
  spec.writes = {out};
  const SoftmaxTable table(from->scale, to->scale, length);
  spec.run = [=, rows = in.count() / length, zero = to->zero](const StepRun& run) {
    run.parallel(rows, 1 + kGrainReduced / length, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t first = r / inner * inner * length + r % inner;
        table.row(run.data<const uint8_t>(in) + first, run.data<uint8_t>(out) + first, length,
                  inner, zero, 255);
      }
    });
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
