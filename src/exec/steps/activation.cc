#include <cmath>

#include "kernels/eltwise_s8/eltwise_s8.h"
#include "kernels/exp_f32/exp_f32.h"
#include "kernels/quantize/quantize.h"
#include "src/exec/steps/fusions.h"

namespace lapidary::exec {

using kernels::ExpF32Args;

namespace {

constexpr int64_t kGrainElements = 16384;

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

/// Quantize(f(Dequantize(q))) of all 256 bytes, by the kernels that compute it on floats.
Table table_of(ExpCall call, const QuantizedEnds& ends) {
  Table table;
  for (size_t q = 0; q < 256; ++q) table[q] = static_cast<uint8_t>(q);
  alignas(64) float values[256 + 16];
  const kernels::QuantizeFunctions& quantize = *kernels::select_quantize().kernel->call;
  alignas(64) uint8_t bytes[256 + 64];
  std::copy(table.begin(), table.end(), bytes);
  quantize.dequantize(
      {.cols = 256, .x = bytes, .y = values, .scale = ends.x.scale, .zero = ends.x.zero});
  call({.count = 256, .x = values, .y = values});
  quantize.quantize(
      {.cols = 256, .x = values, .y = table.data(), .scale = ends.y.scale, .zero = ends.y.zero});
  return table;
}

/// The layout that the output's readers prefer, or else the input's own.
Layout layout_of(PlanBuilder& b, const Fusion& fusion) {
  return b.prefers_channels_last(fusion.output) ? Layout::kChannelsLast
                                                : b.operand(fusion.input).layout;
}

bool build_table_step(PlanBuilder& b, const Fusion& fusion, RegionKind kind) {
  const auto* kernel = kernels::select_eltwise_s8().kernel;
  StepSpec spec;
  spec.nodes = fusion.nodes;
  spec.op = region_name(kind);
  spec.kernel = kernel->row.name;
  spec.precision = "int8";
  const Operand in = b.get_u8(fusion.input, layout_of(b, fusion));
  const Operand out = in.dtype == b.dtype(fusion.output)
                          ? b.create_over(fusion.output, in, fusion.nodes)
                          : b.create_u8(fusion.output, in.layout);
  spec.reads = {in};
  spec.writes = {out};
  spec.run = [=, table = *fusion.table, count = in.count()](const StepRun& run) {
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

bool build_activation(PlanBuilder& b, const Fusion& fusion, RegionKind kind, ExpCall call) {
  StepSpec spec;
  spec.nodes = fusion.nodes;
  spec.op = region_name(kind);
  spec.kernel = kernels::select_exp_f32().kernel->row.name;
  const Operand in = b.get(fusion.input, layout_of(b, fusion));
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
  Fusion fusion{.nodes = region.nodes, .output = region.output, .input = x};
  const QuantizedEnds ends = quantized_ends(b, region.nodes, x, region.output);
  if (ends.dequantize && ends.quantize) {
    fusion.nodes = with_ends(region.nodes, ends);
    fusion.input = ends.input;
    fusion.output = ends.output;
    fusion.table = table_of(call, ends);
    fusion.build = [kind = region.kind](PlanBuilder& builder, const Fusion& self) {
      return build_table_step(builder, self, kind);
    };
    return fusion;
  }
  fusion.build = [kind = region.kind, call](PlanBuilder& builder, const Fusion& self) {
    return build_activation(builder, self, kind, call);
  };
  return fusion;
}

}  // namespace lapidary::exec
