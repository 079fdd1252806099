#include "kernels/eltwise_f32/eltwise_f32.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/grid.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

using kernels::BinaryF32Args;
using kernels::BinaryOp;

namespace {

std::optional<BinaryOp> binary_op(const std::string& op) {
  if (op == "Add" || op == "Sum") return BinaryOp::kAdd;
  if (op == "Sub") return BinaryOp::kSub;
  if (op == "Mul") return BinaryOp::kMul;
  if (op == "Div") return BinaryOp::kDiv;
  if (op == "Min") return BinaryOp::kMin;
  if (op == "Max") return BinaryOp::kMax;
  if (op == "PRelu") return BinaryOp::kPRelu;
  return std::nullopt;
}

}  // namespace

Operand broadcast_operand(PlanBuilder& b, ValueId id, ValueId y, Layout layout, bool u8) {
  // A value of lower rank (a channel vector, a scalar) is read through its strides as it is.
  const bool same_rank = b.shape(id).size() == b.shape(y).size();
  const Layout wanted = same_rank ? layout : Layout::kRowMajor;
  return u8 ? b.get_u8(id, wanted) : b.get(id, wanted);
}

Operand create_over_either(PlanBuilder& b, const Tail& tail, Layout layout, const Operand& left,
                           const Operand& right) {
  const Shape shape = b.shape(tail.output);
  const auto fits = [&](const Operand& o) {
    return o.shape == shape && o.layout == layout && o.dtype == b.dtype(tail.output);
  };
  // In place only where the other operand, should it be the same bytes, is read in the same order.
  const bool apart = left.storage != right.storage || (fits(left) && fits(right));
  if (apart && fits(left) && (b.reusable(left, tail.nodes) || !fits(right)))
    return b.create_over(tail.output, left, tail.nodes);
  if (apart && fits(right)) return b.create_over(tail.output, right, tail.nodes);
  return b.create(tail.output, layout, left.biased);
}

bool build_binary(PlanBuilder& b, NodeId id) {
  const auto op = binary_op(b.node(id).op);
  // Before opset 7 broadcasting went by an `axis` attribute.
  if (!op || b.node(id).inputs.size() != 2 || b.attrs(id).has("axis") ||
      b.attrs(id).has("broadcast"))
    return false;
  const ValueId a = b.input(id, 0), c = b.input(id, 1);
  if (b.dtype(a) != DType::kF32) return false;
  const Layout layout = broadcast_layout(b, a, c, b.output(id), b.follow(id));
  const Tail tail = float_tail(b, id, /*residual=*/false);
  const Operand left = broadcast_operand(b, a, tail.output, layout, false);
  const Operand right = broadcast_operand(b, c, tail.output, layout, false);

  StepSpec spec;
  spec.nodes = tail.nodes;
  const auto* kernel = kernels::select_eltwise_f32().kernel;
  spec.kernel = kernel->row.name;
  const Operand out = create_over_either(b, tail, layout, left, right);
  spec.reads = {left, right};
  spec.writes = {out};
  BinaryF32Args args;
  args.op = *op;
  args.activation = tail.activation;
  spec.run = [=, grid = plan_grid(left, right, out)](const StepRun& run) {
    grid.for_each(run, [&](const kernels::Grid& part, int64_t at_a, int64_t at_b, int64_t at_y) {
      BinaryF32Args call = args;
      call.grid = part;
      call.a = run.data<const float>(left) + at_a;
      call.b = run.data<const float>(right) + at_b;
      call.y = run.data<float>(out) + at_y;
      kernel->call->binary(call);
    });
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
