#include "kernels/conv_f32/conv_f32.h"

#include "kernels/conv_f32_winograd/conv_f32_winograd.h"
#include "kernels/dw_f32/dw_f32.h"
#include "src/exec/steps/common.h"
#include "src/exec/steps/groups.h"
#include "src/exec/steps/place.h"
#include "src/exec/steps/product_f32.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

using kernels::ConvF32Args;
using kernels::ConvF32Kernel;

namespace {

/// The output tile of Winograd's algorithm where it is allowed and faster; 0: none.
int64_t winograd_of(const PlanBuilder& b, const kernels::ConvShape& shape) {
  if (b.float_arithmetic() != FloatArithmetic::kF32 || kernels::is_depthwise(shape)) return 0;
  return kernels::fastest_winograd(shape, b.winograd());
}

const ConvF32Kernel* select_row(const kernels::ConvShape& shape, int64_t winograd) {
  if (winograd > 0) return kernels::select_conv_f32_winograd(shape, winograd).kernel;
  if (kernels::is_depthwise(shape)) return kernels::select_dw_f32(shape).kernel;
  return kernels::select_conv_f32(shape).kernel;
}

}  // namespace

bool build_conv(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), w = b.input(id, 1), bias = b.input(id, 2);
  const Tensor* weights = b.constant(w);
  if (b.dtype(x) != DType::kF32 || weights == nullptr || (bias && !b.constant(bias))) return false;
  const Shape kernel(weights->shape().begin() + 2, weights->shape().end());
  auto shape = window_shape(b, id, x, b.output(id), kernel);
  if (!shape) return false;
  shape->groups = b.attrs(id).get_int("group", 1);
  const float* filters = weights->data<float>().data();
  std::vector<float> joined;
  if (const int64_t n = groups_to_join(*shape); n > 1) {
    joined = join_groups(*shape, n, filters, [](int64_t) { return 0.0f; });
    filters = joined.data();
    shape->groups /= n;
  }

  const int64_t m = winograd_of(b, *shape);
  const NarrowProduct narrow = m > 0 ? NarrowProduct() : narrow_product(b, *shape, *weights);
  const ConvF32Kernel* row = narrow.row ? narrow.row : select_row(*shape, m);
  const Tail tail = float_tail(b, id, /*residual=*/true);
  Tensor packed = b.packed(static_cast<int64_t>(row->call->packed_bytes(*shape)));
  row->call->pack(
      *shape, {.data = filters, .bias = bias ? b.constant(bias)->data<float>().data() : nullptr},
      packed.mutable_raw());

  StepSpec spec;
  spec.nodes = tail.nodes;
  spec.kernel = row->row.name;
  spec.precision = narrow.precision;
  const Operand in = b.channels_last(x);
  const Operand residual = tail.residual ? b.channels_last(tail.residual) : Operand();
  const bool over = residual.valid() && residual.storage != in.storage &&
                    residual.shape == b.shape(tail.output) && !kernels::is_depthwise(*shape);
  const Place place =
      over ? place_over(b, tail.output, residual, tail.nodes) : place_result(b, tail.output);
  const int scratch =
      b.scratch(static_cast<int64_t>(kernels::scratch_bytes(*row, *shape, b.threads())));
  spec.reads = {in};
  if (residual.valid()) spec.reads.push_back(residual);
  spec.writes = {place.out};
  spec.scratch = {scratch};
  spec.run = [=, shape = *shape, activation = tail.activation](const StepRun& run) {
    ConvF32Args args;
    args.shape = shape;
    args.x = run.data<const float>(in);
    args.packed = packed.raw();
    args.y = place.data<float>(run);
    args.y_stride = place.stride;
    args.activation = activation;
    args.residual = residual.valid() ? run.data<const float>(residual) : nullptr;
    args.scratch = run.at(scratch);
    kernels::run_conv_f32(*row, args, run.threads());
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
