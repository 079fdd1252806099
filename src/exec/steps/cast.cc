#include "src/base/half.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/grain.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

namespace {

/// y[i] = convert(x[i])
template <class From, class To, class Convert>
std::function<void(const StepRun&)> elementwise(const Operand& x, const Operand& y,
                                                Convert convert) {
  return [=](const StepRun& run) {
    const From* from = run.data<const From>(x);
    To* to = run.data<To>(y);
    run.parallel(x.count(), kGrainElements, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = convert(from[i]);
    });
  };
}

/// FP32 -> FP16 -> FP32.
bool build_rounding(PlanBuilder& b, NodeId id, NodeId back) {
  const ValueId x = b.input(id, 0), y = b.output(back);
  const NodeId nodes[] = {id, back};
  const Operand in = b.get(x, b.follow(id));
  StepSpec spec;
  spec.nodes = {id, back};
  spec.op = "Round to float16";
  spec.kernel = "round_f16";
  spec.precision = "float16";
  const Operand out = b.create_over(y, in, nodes);
  spec.reads = {in};
  spec.writes = {out};
  spec.run = elementwise<float, float>(in, out, [](float v) { return from_half(to_half(v)); });
  b.emit(std::move(spec));
  return true;
}

}  // namespace

/// Between FP32 and FP16.
bool build_cast(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  const bool narrows = b.dtype(x) == DType::kF32 && b.dtype(y) == DType::kF16;
  const bool widens = b.dtype(x) == DType::kF16 && b.dtype(y) == DType::kF32;
  if (!narrows && !widens) return false;
  if (narrows)
    if (const NodeId next = b.only_consumer(y);
        next && b.node(next).is("Cast") && b.dtype(b.output(next)) == DType::kF32)
      return build_rounding(b, id, next);
  StepSpec spec;
  spec.nodes = {id};
  spec.kernel = narrows ? "narrow_f16" : "widen_f16";
  spec.precision = "float16";
  const Layout layout = b.follow(id);
  const Operand in = b.get(x, layout), out = b.create(y, layout);
  spec.reads = {in};
  spec.writes = {out};
  spec.run = narrows ? elementwise<float, Half>(in, out, [](float v) { return to_half(v); })
                     : elementwise<Half, float>(in, out, [](Half v) { return from_half(v); });
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
