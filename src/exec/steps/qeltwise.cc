#include "kernels/eltwise_s8/eltwise_s8.h"

#include <cmath>

#include "kernels/pool/pool.h"
#include "src/exec/steps/grain.h"
#include "src/exec/steps/grid.h"
#include "src/exec/steps/place.h"
#include "src/exec/steps/quant.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

namespace {

struct BinaryS8 {
  Operand a, b, y;
  GridPlan grid;
};

using BinaryBody = std::function<void(const StepRun&, const BinaryS8&)>;

/// Both operands in the step's layout, the result over one of them; `body` computes it and the
/// clamp behind it.
void emit_binary_s8(PlanBuilder& b, NodeId id, const ByteClamp& clamp, std::string kernel,
                    const BinaryBody& body) {
  const ValueId y = clamp.output;
  const Layout layout = broadcast_layout(b, b.input(id, 0), b.input(id, 3), y, b.follow(id));
  Tail tail{.nodes = {id}, .output = y};
  tail.nodes.insert(tail.nodes.end(), clamp.nodes.begin(), clamp.nodes.end());
  BinaryS8 step;
  step.a = broadcast_operand(b, b.input(id, 0), y, layout, true);
  step.b = broadcast_operand(b, b.input(id, 3), y, layout, true);
  StepSpec spec;
  spec.nodes = tail.nodes;
  spec.kernel = std::move(kernel);
  spec.precision = "int8";
  const bool over_biased = step.a.biased == step.b.biased;
  step.y =
      over_biased ? create_over_either(b, tail, layout, step.a, step.b) : b.create_u8(y, layout);
  step.grid = plan_grid(step.a, step.b, step.y);
  spec.reads = {step.a, step.b};
  spec.writes = {step.y};
  spec.run = [step, body](const StepRun& run) { body(run, step); };
  b.emit(std::move(spec));
}

struct BinaryParams {
  ByteParams a, b, y;
  int shift;
};
std::optional<BinaryParams> binary_params(const PlanBuilder& b, NodeId id) {
  const DType dtype = b.dtype(b.output(id));
  const auto left = byte_params(b, id, 1, dtype), right = byte_params(b, id, 4, dtype),
             result = byte_params(b, id, 6, dtype);
  if (!left || !right || !result) return std::nullopt;
  return BinaryParams{*left, *right, *result, byte_shift(dtype)};
}

/// Add and Mul: `prepare` makes the formula of scales and zero points, `call` computes it.
template <class Args, class Formula>
bool build_binary_s8(PlanBuilder& b, NodeId id, Formula Args::*formula,
                     Formula (*prepare)(float, int, float, int, float, int, int),
                     void (*kernels::EltwiseS8Functions::*call)(const Args&)) {
  const auto p = binary_params(b, id);
  if (!p) return false;
  const auto* kernel = kernels::select_eltwise_s8().kernel;
  Args args;
  args.*formula =
      prepare(p->a.scale, p->a.zero, p->b.scale, p->b.zero, p->y.scale, p->y.zero, p->shift);
  const ByteClamp clamp = byte_clamp(b, b.output(id));
  (args.*formula).lo = clamp.lo;
  (args.*formula).hi = clamp.hi;
  const auto compute = kernel->call->*call;
  emit_binary_s8(
      b, id, clamp, std::string(kernel->row.name), [=](const StepRun& run, const BinaryS8& s) {
        s.grid.for_each(run, [&](const kernels::Grid& grid, int64_t a, int64_t c, int64_t y) {
          Args part = args;
          part.grid = grid;
          part.a = run.data<const uint8_t>(s.a) + a;
          part.b = run.data<const uint8_t>(s.b) + c;
          part.y = run.data<uint8_t>(s.y) + y;
          compute(part);
        });
      });
  return true;
}

}  // namespace

bool build_qlinear_add(PlanBuilder& b, NodeId id) {
  return build_binary_s8(b, id, &kernels::AddU8Args::add, kernels::add_u8,
                         &kernels::EltwiseS8Functions::add);
}

bool build_qlinear_mul(PlanBuilder& b, NodeId id) {
  return build_binary_s8(b, id, &kernels::MulU8Args::mul, kernels::mul_u8,
                         &kernels::EltwiseS8Functions::mul);
}

/// A function of one 8-bit value, of one node or many.
bool build_table(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0);
  const auto f = byte_function(b, x, id, /*whole=*/false);
  if (!f) return false;
  StepSpec spec;
  spec.nodes = f->nodes;
  const auto* kernel = kernels::select_eltwise_s8().kernel;
  spec.kernel = kernel->row.name;
  spec.precision = "int8";
  const Operand in = b.get_u8(x, b.follow(id));
  const Operand out = in.dtype == b.dtype(f->output) ? b.create_over(f->output, in, spec.nodes)
                                                     : b.create_u8(f->output, in.layout);
  spec.reads = {in};
  spec.writes = {out};
  spec.run = [=, table = f->table, count = in.count()](const StepRun& run) {
    run.parallel(count, kGrainElements, [&](int64_t begin, int64_t end) {
      kernel->call->lut({.cols = end - begin,
                         .x = run.data<const uint8_t>(in) + begin,
                         .y = run.data<uint8_t>(out) + begin,
                         .table = table.data()});
    });
  };
  b.emit(std::move(spec));
  return true;
}

/// com.microsoft QLinearConcat; inputs that were written in place already are left out.
bool build_qlinear_concat(PlanBuilder& b, NodeId id) {
  const ValueId y = b.output(id);
  const auto concat = concat_parts(b, id);
  if (!concat) return false;
  struct Part {
    Operand from;
    Table table;
    int64_t cols, at;
  };
  const Operand* room = b.reserved(y);
  const Layout layout = room ? room->layout : b.follow(id);
  std::vector<Part> parts;
  StepSpec spec;
  spec.nodes = {id};
  const auto* kernel = kernels::select_eltwise_s8().kernel;
  spec.kernel = kernel->row.name;
  spec.precision = "int8";
  const auto axis = static_cast<size_t>(concat->axis);
  for (size_t i = 0; i < concat->values.size(); ++i) {
    if (b.operand(concat->values[i]).slice) continue;
    parts.push_back({b.get_u8(concat->values[i], layout), concat->tables[i], 0, concat->begins[i]});
    spec.reads.push_back(parts.back().from);
  }
  if (parts.empty()) return b.alias(y, *room, layout), true;
  const Operand out = b.create_u8(y, layout);
  spec.writes = {out};
  // Physically [outer, axis, inner]: one input is `outer` runs of (its axis size) * inner.
  const int64_t inner = out.strides()[axis];
  const int64_t row = out.shape[axis] * inner, rows = out.count() / row;
  for (Part& part : parts) {
    part.cols = part.from.shape[axis] * inner;
    part.at *= inner;
  }
  spec.run = [=](const StepRun& run) {
    run.parallel(rows, 1 + kGrainElements / row, [&](int64_t begin, int64_t end) {
      for (const Part& part : parts)
        kernel->call->lut({.rows = end - begin,
                           .cols = part.cols,
                           .x_row = part.cols,
                           .y_row = row,
                           .x = run.data<const uint8_t>(part.from) + begin * part.cols,
                           .y = run.data<uint8_t>(out) + begin * row + part.at,
                           .table = part.table.data()});
    });
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
