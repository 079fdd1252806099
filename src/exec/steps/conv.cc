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

/// A convolution's weights as the row that computes it reads them.
struct PackedConv {
  kernels::ConvShape shape;
  const ConvF32Kernel* row = nullptr;
  std::string precision;
  Tensor weights;
};

/// `filters` [OC, IC/G, KH, KW] of `shape`; `original`: what the precision is decided by.
PackedConv pack(PlanBuilder& b, const kernels::ConvShape& shape, const float* filters,
                const float* bias, const Tensor& original) {
  PackedConv out{shape};
  const int64_t m = winograd_of(b, shape);
  const NarrowProduct narrow = m > 0 ? NarrowProduct() : narrow_product(b, shape, original);
  out.row = narrow.row ? narrow.row : select_row(shape, m);
  out.precision = narrow.precision;
  out.weights = b.packed(static_cast<int64_t>(out.row->call->packed_bytes(shape)));
  out.row->call->pack(shape, {.data = filters, .bias = bias}, out.weights.mutable_raw());
  return out;
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
  const float* biases = bias ? b.constant(bias)->data<float>().data() : nullptr;
  const PackedConv apart = pack(b, *shape, filters, biases, *weights);
  PackedConv conv = apart;
  const int64_t n = groups_to_join(*shape);
  if (n > 1) {
    kernels::ConvShape joined = *shape;
    joined.groups /= n;
    const auto zeros_between = join_groups(*shape, n, filters, [](int64_t) { return 0.0f; });
    conv = pack(b, joined, zeros_between.data(), biases, *weights);
  }

  const Tail tail = float_tail(b, id, /*residual=*/true);
  StepSpec spec;
  spec.nodes = tail.nodes;
  spec.kernel = conv.row->row.name;
  spec.precision = conv.precision;
  const Operand in = b.channels_last(x);
  const Operand residual = tail.residual ? b.channels_last(tail.residual) : Operand();
  const bool over = residual.valid() && residual.storage != in.storage &&
                    residual.shape == b.shape(tail.output) && !kernels::is_depthwise(*shape);
  const Place place =
      over ? place_over(b, tail.output, residual, tail.nodes) : place_result(b, tail.output);
  const auto scratch_of = [&](const PackedConv& c) {
    return static_cast<int64_t>(kernels::scratch_bytes(*c.row, c.shape, b.threads()));
  };
  const int scratch = b.scratch(std::max(scratch_of(conv), scratch_of(apart)));
  spec.reads = {in};
  if (residual.valid()) spec.reads.push_back(residual);
  spec.writes = {place.out};
  spec.scratch = {scratch};
  const int64_t count = shape->batch * shape->in_h * shape->in_w * shape->in_c;
  spec.run = [=, activation = tail.activation](const StepRun& run) {
    ConvF32Args args;
    args.x = run.data<const float>(in);
    const bool joined = n > 1 && all_finite(args.x, count, run.threads());
    const PackedConv& used = joined ? conv : apart;
    args.shape = used.shape;
    args.packed = used.weights.raw();
    args.y = place.data<float>(run);
    args.y_stride = place.stride;
    args.activation = activation;
    args.residual = residual.valid() ? run.data<const float>(residual) : nullptr;
    args.scratch = run.at(scratch);
    kernels::run_conv_f32(*used.row, args, run.threads());
  };
  b.emit(std::move(spec));
  return true;
}

}  // namespace lapidary::exec
