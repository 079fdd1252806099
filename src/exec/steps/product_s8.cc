#include "src/exec/steps/product_s8.h"

#include <algorithm>
#include <atomic>

#include "kernels/conv_sat_s8/conv_sat_s8.h"
#include "kernels/conv_t2/conv_t2.h"
#include "kernels/dw_s8/dw_s8.h"
#include "src/exec/steps/place.h"
#include "src/ops/fake_quantize.h"

namespace lapidary::exec {

using kernels::ConvS8Args;
using kernels::ConvS8Kernel;
using kernels::ConvS8Output;
using kernels::ConvT2Kernel;

namespace {

/// True where the weights are UnpackTernary's, moved perhaps.
bool from_ternary(const PlanBuilder& b, ValueId weights) {
  const auto producer = [&] { return b.graph().value(weights).producer; };
  while (producer() && (b.node(producer()).is("Transpose") || b.node(producer()).is("Reshape")))
    weights = b.input(producer(), 0);
  return producer() && b.node(producer()).is("UnpackTernary", kOwnDomain);
}

}  // namespace

std::optional<WeightsS8> weights_s8(const PlanBuilder& b, ValueId weights, ValueId zero_point,
                                    int64_t channels) {
  const Tensor* w = b.constant(weights);
  if (w == nullptr || !is_byte(w->dtype())) return std::nullopt;
  WeightsS8 out;
  out.weights.data = w->raw();
  out.weights.is_unsigned = w->dtype() == DType::kU8;
  out.ternary = from_ternary(b, weights);
  if (!zero_point) return out;
  const Tensor* z = b.constant(zero_point);
  if (z == nullptr || z->dtype() != w->dtype() || (z->size() != 1 && z->size() != channels))
    return std::nullopt;
  for (int64_t i = 0; i < z->size(); ++i) {
    const auto at = static_cast<size_t>(i);
    out.zero_points.push_back(out.weights.is_unsigned ? int32_t{z->data<uint8_t>()[at]}
                                                      : int32_t{z->data<int8_t>()[at]});
  }
  out.ternary = out.ternary && std::ranges::count(out.zero_points, 0) == z->size();
  return out;
}

std::optional<std::vector<float>> channel_scales(const PlanBuilder& b, ValueId scale,
                                                 int64_t channels) {
  const Tensor* s = b.constant(scale);
  if (s == nullptr || s->dtype() != DType::kF32 || (s->size() != 1 && s->size() != channels))
    return std::nullopt;
  return std::vector<float>(s->data<float>().begin(), s->data<float>().end());
}

std::optional<int> byte_zero(const PlanBuilder& b, ValueId zero, DType storage) {
  const int bias = byte_shift(storage);
  if (!zero) return bias;
  const Tensor* z = b.constant(zero);
  if (z == nullptr || z->size() != 1 || z->dtype() != storage) return std::nullopt;
  return bias + (storage == DType::kI8 ? z->data<int8_t>()[0] : z->data<uint8_t>()[0]);
}

namespace {

/// Bias and multipliers behind weights that `Kernel` packed.
template <class Kernel>
void set_affine(const ProductS8& p, void* packed) {
  constexpr bool kTernary = std::is_same_v<Kernel, ConvT2Kernel>;
  const auto set_bias = kTernary ? kernels::set_bias_t2 : kernels::set_bias;
  const auto set_multipliers = kTernary ? kernels::set_multipliers_t2 : kernels::set_multipliers;
  set_bias(packed, p.bias, p.x_zero);
  if (!p.multipliers.empty())
    set_multipliers(packed, p.multipliers.data(), std::ssize(p.multipliers));
}

template <class Kernel>
Tensor packed_weights(PlanBuilder& b, const ProductS8& p, const Kernel& kernel) {
  kernels::ConvS8Weights weights = p.weights.weights;
  if (p.weights.zero_points.size() == 1) weights.zero_point = p.weights.zero_points[0];
  if (p.weights.zero_points.size() > 1) weights.zero_points = p.weights.zero_points.data();
  Tensor packed = b.packed(static_cast<int64_t>(kernel.call->packed_bytes(p.shape)));
  kernel.call->pack(p.shape, weights, packed.mutable_raw());
  set_affine<Kernel>(p, packed.mutable_raw());
  return packed;
}

/// The QLinearAdd of the tail; its operands' parameters are constants (byte_tail checked).
kernels::ConvS8Residual residual_of(const PlanBuilder& b, const ByteTail& tail) {
  const DType dtype = b.dtype(b.output(tail.add));
  const auto left = *byte_params(b, tail.add, 1, dtype);
  const auto right = *byte_params(b, tail.add, 4, dtype);
  const auto sum = *byte_params(b, tail.add, 6, dtype);
  kernels::ConvS8Residual residual;
  residual.add = kernels::add_u8(left.scale, left.zero, right.scale, right.zero, sum.scale,
                                 sum.zero, byte_shift(dtype));
  residual.add.lo = tail.add_lo;
  residual.add.hi = tail.add_hi;
  residual.conv_is_a = tail.add_slot == 0;
  return residual;
}

/// ONNX Runtime widens the factors of depthwise convolutions and of u8 weights to 16 bits first.
bool can_saturate(const PlanBuilder& b, const ProductS8& p) {
  return b.saturates() && !kernels::is_depthwise(p.shape) && !p.weights.weights.is_unsigned;
}

Place place_of(PlanBuilder& b, const ProductS8& p, const Operand& in, const Operand& residual) {
  const ByteTail& tail = p.tail;
  const bool over = residual.valid() && residual.storage != in.storage &&
                    residual.dtype == b.dtype(tail.output) &&
                    residual.shape == b.shape(tail.output) && !kernels::is_depthwise(p.shape);
  if (p.layout == Layout::kRowMajor || p.output != ConvS8Output::kU8)
    return {.out = over ? b.create_over(tail.output, residual, tail.nodes)
                        : b.create_u8(tail.output, p.layout)};
  return over ? place_over(b, tail.output, residual, tail.nodes)
              : place_result(b, tail.output, /*takes_table=*/!tail.add);
}

/// `multiply(args, threads)` runs the row.
template <class Kernel, class Multiply>
void emit(PlanBuilder& b, const ProductS8& p, const Kernel* row, const Multiply& multiply) {
  const Tensor packed = packed_weights(b, p, *row);
  StepSpec spec;
  spec.nodes = p.tail.nodes;
  spec.kernel = row->row.name;
  spec.precision = p.weights.ternary ? "ternary" : "int8";
  const Operand in = b.get_u8(p.x, p.layout);
  Operand other;
  kernels::ConvS8Residual residual;
  if (p.tail.add) {
    residual = residual_of(b, p.tail);
    other = b.get_u8(b.input(p.tail.add, 3 - p.tail.add_slot), p.layout);
  }
  const Place place = place_of(b, p, in, other);
  std::optional<Table> all = p.tail.table;
  if (place.table) all = all ? composed(*all, *place.table) : *place.table;
  const ClampedTable after = all ? clamped(*all) : ClampedTable();
  const int scratch =
      b.scratch(static_cast<int64_t>(kernels::scratch_bytes(*row, p.shape, b.threads())));
  spec.reads = {in};
  if (other.valid()) spec.reads.push_back(other);
  spec.writes = {place.out};
  spec.scratch = {scratch};

  ConvS8Args args;
  args.shape = p.shape;
  args.packed = packed.raw();
  args.output = p.output;
  args.x_zero = p.x_zero;
  args.y_zero = p.y_zero;
  args.y_stride = place.stride;
  args.lo = after.lo;
  args.hi = after.hi;
  spec.run = [=, table = after.rest, float_bias = p.float_bias](const StepRun& run) {
    ConvS8Args call = args;
    call.packed = packed.raw();
    call.x = run.data<const uint8_t>(in);
    call.y = run.data<uint8_t>(place.out) + place.at;
    call.table = table ? table->data() : nullptr;
    call.float_bias = float_bias.empty() ? nullptr : float_bias.data<float>().data();
    call.residual = residual;
    if (other.valid()) call.residual.data = run.data<const uint8_t>(other);
    call.scratch = run.at(scratch);
    multiply(call, run.threads());
  };
  b.emit(std::move(spec));
}

/// True where weights stay two bits each, a quarter of the memory. Expanding them at every call
/// takes the time of some 6 pixels (ResNet's 7x7x512 by conv_t2: 1.1 times conv_s8's, a GEMM's
/// single row 1.6 times; AVX512-VNNI): too much for fewer pixels.
bool stays_ternary(const ProductS8& p) {
  constexpr int64_t kLeastPixels = 32;
  return p.weights.ternary && p.shape.groups == 1 &&
         p.shape.batch * p.shape.out_h * p.shape.out_w >= kLeastPixels;
}

void emit_saturating(PlanBuilder& b, const ProductS8& p) {
  const auto* row = kernels::select_conv_sat_s8(p.shape).kernel;
  SaturationCounts::Layer& counts = b.saturation(p.tail.nodes.front());
  emit(b, p, row, [row, &counts](const ConvS8Args& args, int threads) {
    std::atomic_ref<int64_t>(counts.pair_sums)
        .fetch_add(kernels::pair_sums(args.shape), std::memory_order_relaxed);
    kernels::run_conv_sat_s8(*row, {args, &counts.saturated}, threads);
  });
}

}  // namespace

void emit_product_s8(PlanBuilder& b, const ProductS8& p) {
  if (can_saturate(b, p)) return emit_saturating(b, p);
  if (stays_ternary(p)) {
    const ConvT2Kernel* row = kernels::select_conv_t2(p.shape).kernel;
    return emit(b, p, row, [row](const ConvS8Args& args, int threads) {
      kernels::run_conv_t2(*row, {args}, threads);
    });
  }
  const ConvS8Kernel* row = kernels::is_depthwise(p.shape)
                                ? kernels::select_dw_s8(p.shape).kernel
                                : kernels::select_conv_s8(p.shape).kernel;
  emit(b, p, row,
       [row](const ConvS8Args& args, int threads) { kernels::run_conv_s8(*row, args, threads); });
}

}  // namespace lapidary::exec
