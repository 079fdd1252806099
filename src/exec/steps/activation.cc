#include "kernels/exp_f32/exp_f32.h"
#include "src/exec/steps/fusions.h"
#include "src/exec/steps/grain.h"

namespace lapidary::exec {

using kernels::ExpF32Args;

namespace {

using ExpCall = void (*)(const ExpF32Args&);

/// The kernel of an activation; null where it has none.
ExpCall call_of(RegionKind kind) {
  const kernels::ExpF32Functions& call = *kernels::select_exp_f32().kernel->call;
  switch (kind) {
    case RegionKind::kGelu:
      return call.gelu;
    case RegionKind::kTanhGelu:
      return call.tanh_gelu;
    default:
      return nullptr;
  }
}

bool build_activation(PlanBuilder& b, const Fusion& fusion, ValueId x, RegionKind kind,
                      ExpCall call) {
  StepSpec spec;
  spec.nodes = fusion.nodes;
  spec.op = region_name(kind);
  spec.kernel = kernels::select_exp_f32().kernel->row.name;
  // The layout that the output's readers prefer, or else the input's own.
  const Layout layout =
      b.prefers_channels_last(fusion.output) ? Layout::kChannelsLast : b.operand(x).layout;
  const Operand in = b.get(x, layout);
  const Operand out = b.create_over(fusion.output, in, fusion.nodes);
  spec.reads = {in};
  spec.writes = {out};
  spec.run = [=, count = in.count()](const StepRun& run) {
    run.parallel(count, kGrainElements, [&](int64_t begin, int64_t end) {
      call({.count = end - begin,
            .x = run.data<const float>(in) + begin,
            .y = run.data<float>(out) + begin});
    });
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace

std::optional<Fusion> activation_fusion(const PlanBuilder& b, const Region& region) {
  const ExpCall call = call_of(region.kind);
  const ValueId x = region.inputs[0];
  const TensorType& type = b.graph().value(x).type;
  if (call == nullptr || type.dtype != DType::kF32 || !type.is_static()) return std::nullopt;
  const TensorType& result = b.graph().value(region.output).type;
  if (!result.is_static() || result.static_shape() != type.static_shape()) return std::nullopt;
  // Between bytes it is a table (byte_function.h).
  const QuantizedEnds ends = quantized_ends(b, region.nodes, x, region.output);
  if (ends.dequantize && ends.quantize) return std::nullopt;
  Fusion fusion{.nodes = region.nodes, .output = region.output};
  fusion.build = [x, kind = region.kind, call](PlanBuilder& builder, const Fusion& self) {
    return build_activation(builder, self, x, kind, call);
  };
  return fusion;
}

}  // namespace lapidary::exec
