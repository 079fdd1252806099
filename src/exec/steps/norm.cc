#include <cstring>

#include "kernels/norm_f32/norm_f32.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/fusions.h"
#include "src/exec/steps/grain.h"

namespace lapidary::exec {

namespace {

/// One float per element of a row whose axes are the last of `shape`, from a constant that
/// broadcasts to them; none where the value is absent or of another shape.
std::optional<Tensor> row_parameter(const PlanBuilder& b, ValueId id, const Shape& shape,
                                    int64_t cols) {
  const Tensor* t = b.constant(id);
  if (t == nullptr || t->dtype() != DType::kF32) return std::nullopt;
  if (t->size() == 1) {
    Tensor same(DType::kF32, {cols});
    for (float& v : same.mutable_data<float>()) v = t->data<float>()[0];
    return same;
  }
  // As many elements as a row: the row itself, with or without leading axes of 1.
  Shape own = t->shape();
  while (!own.empty() && own.front() == 1) own.erase(own.begin());
  Shape row = shape;
  while (element_count(row) > cols || (!row.empty() && row.front() == 1)) row.erase(row.begin());
  if (t->size() != cols || own != row) return std::nullopt;
  return owned_floats(*t);
}

/// True where `axes` are the last ones.
bool are_last(const std::vector<int64_t>& axes, size_t rank) {
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] != static_cast<int64_t>(rank - axes.size() + i)) return false;
  return !axes.empty() && axes.size() <= rank;
}

bool build_normalization(PlanBuilder& b, const Fusion& fusion, const Region& region,
                         const QuantizedEnds& ends) {
  const Shape shape = b.shape(region.inputs[0]);
  const int64_t cols = element_count(std::span(shape).last(region.axes.size()));
  std::optional<Tensor> scale, bias;
  if (region.scale && !(scale = row_parameter(b, region.scale, shape, cols))) return false;
  if (region.bias && !(bias = row_parameter(b, region.bias, shape, cols))) return false;

  const auto* kernel = kernels::select_norm_f32().kernel;
  StepSpec spec;
  spec.nodes = fusion.nodes;
  spec.op = region_name(region.kind);
  spec.kernel = kernel->row.name;
  const Operand in =
      ends.dequantize ? b.get_u8(ends.input, Layout::kRowMajor) : b.row_major(ends.input);
  const bool same_type =
      ends.dequantize.valid() == ends.quantize.valid() && in.dtype == b.dtype(fusion.output);
  const Operand out = same_type ? b.create_over(fusion.output, in, fusion.nodes)
                                : b.create_u8(fusion.output, Layout::kRowMajor);
  spec.reads = {in};
  spec.writes = {out};
  kernels::NormF32Args args;
  args.cols = cols;
  args.centred = region.kind == RegionKind::kLayerNorm;
  args.epsilon = region.epsilon;
  args.x_scale = ends.x.scale;
  args.x_zero = ends.x.zero;
  args.y_scale = ends.y.scale;
  args.y_zero = ends.y.zero;
  spec.run = [=, bytes_in = ends.dequantize.valid(), bytes_out = ends.quantize.valid(),
              rows = in.count() / cols](const StepRun& run) {
    run.parallel(rows, 1 + kGrainReduced / cols, [&](int64_t begin, int64_t end) {
      kernels::NormF32Args part = args;
      part.rows = end - begin;
      part.scale = scale ? scale->data<float>().data() : nullptr;
      part.bias = bias ? bias->data<float>().data() : nullptr;
      if (bytes_in)
        part.x_bytes = run.data<const uint8_t>(in) + begin * cols;
      else
        part.x = run.data<const float>(in) + begin * cols;
      if (bytes_out)
        part.y_bytes = run.data<uint8_t>(out) + begin * cols;
      else
        part.y = run.data<float>(out) + begin * cols;
      kernel->call->normalize(part);
    });
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace

std::optional<Fusion> normalization_fusion(const PlanBuilder& b, const Region& region) {
  if (region.kind != RegionKind::kLayerNorm && region.kind != RegionKind::kRmsNorm)
    return std::nullopt;
  const TensorType& type = b.graph().value(region.inputs[0]).type;
  if (type.dtype != DType::kF32 || !type.is_static()) return std::nullopt;
  if (!are_last(region.axes, type.shape->size())) return std::nullopt;
  const QuantizedEnds ends = quantized_ends(b, region.nodes, region.inputs[0], region.output);
  Fusion fusion{.nodes = with_ends(region.nodes, ends), .output = ends.output};
  fusion.build = [region, ends](PlanBuilder& builder, const Fusion& self) {
    return build_normalization(builder, self, region, ends);
  };
  return fusion;
}

}  // namespace lapidary::exec
