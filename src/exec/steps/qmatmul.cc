#include "src/exec/steps/common.h"
#include "src/exec/steps/product_s8.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

using kernels::ConvS8Output;

namespace {

/// y [.., M, N] of a [.., M, K] and constant b [K, N] (or [N, K]).
bool read_product(const PlanBuilder& b, NodeId id, ValueId weights, ValueId zero_point,
                  bool transposed, ProductS8& p) {
  p.x = b.input(id, 0);
  const Tensor* w = b.constant(weights);
  const Shape a = b.shape(p.x);
  if (!is_byte(b.dtype(p.x)) || w == nullptr || w->rank() != 2 || a.size() < 2) return false;
  const int64_t k = w->dim(transposed ? 1 : 0), n = w->dim(transposed ? 0 : 1);
  p.shape = kernels::gemm_shape(element_count(a) / k, k, n);
  const auto packed = weights_s8(b, weights, zero_point, n);
  if (!packed) return false;
  p.weights = *packed;
  if (!transposed) {
    p.weights.weights.oc_stride = 1;
    p.weights.weights.ic_stride = n;
  }
  p.tail = {.nodes = {id}, .output = b.output(id)};
  return true;
}

/// The constant that an Add behind the product adds to each column: the same float sum as by a step
/// of its own.
void take_float_bias(const PlanBuilder& b, ProductS8& p) {
  const NodeId add = b.only_consumer(p.tail.output);
  if (!add || !b.node(add).is("Add") || b.shape(b.output(add)) != b.shape(p.tail.output)) return;
  const Tensor* bias = b.constant(b.input(add, b.input(add, 0) == p.tail.output ? 1 : 0));
  if (bias == nullptr) return;
  p.float_bias = column_vector(*bias, p.shape.out_c, 1.0f);
  if (p.float_bias.empty()) return;
  p.tail.nodes.push_back(add);
  p.tail.output = b.output(add);
}

}  // namespace

/// a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero
bool build_qlinear_matmul(PlanBuilder& b, NodeId id) {
  ProductS8 p;
  if (b.constant(b.input(id, 3)) == nullptr) return build_qlinear_matmul_of_two(b, id);
  if (!read_product(b, id, b.input(id, 3), b.input(id, 5), false, p)) return false;
  const auto a = byte_params(b, id, 1, b.dtype(p.x));
  const auto y = byte_params(b, id, 6, b.dtype(b.output(id)));
  const auto scales = channel_scales(b, b.input(id, 4), p.shape.out_c);
  if (!a || !y || !scales) return false;
  for (const float scale : *scales)
    p.multipliers.push_back(kernels::requant_multiplier(a->scale, scale, y->scale));
  p.x_zero = a->zero;
  p.y_zero = y->zero;
  p.tail = byte_tail(b, id, /*residual=*/true);
  emit_product_s8(b, p);
  return true;
}

/// com.microsoft: a, a_scale, a_zero, b, b_scale, b_zero, c (int32), y_scale, y_zero; without the
/// last two the output is float(acc) * (alpha * a_scale * b_scale)
bool build_qgemm(PlanBuilder& b, NodeId id) {
  ProductS8 p;
  const AttrView attrs = b.attrs(id);
  if (attrs.get_int("transA", 0) != 0 || attrs.get_float("alpha", 1.0f) != 1.0f) return false;
  if (!read_product(b, id, b.input(id, 3), b.input(id, 5), attrs.get_int("transB", 0) != 0, p))
    return false;
  const auto a = byte_params(b, id, 1, b.dtype(p.x));
  const auto scales = channel_scales(b, b.input(id, 4), p.shape.out_c);
  const Tensor* bias = b.constant(b.input(id, 6));
  if (!a || !scales || (b.input(id, 6) && (bias == nullptr || bias->size() != p.shape.out_c)))
    return false;
  p.bias = bias ? bias->data<int32_t>().data() : nullptr;
  p.x_zero = a->zero;
  if (b.input(id, 7)) {
    const auto y = byte_params(b, id, 7, b.dtype(b.output(id)));
    if (!y) return false;
    for (const float scale : *scales)
      p.multipliers.push_back(kernels::requant_multiplier(a->scale, scale, y->scale));
    p.y_zero = y->zero;
    p.tail = byte_tail(b, id, /*residual=*/true);
  } else {
    for (const float scale : *scales) p.multipliers.push_back(a->scale * scale);
    p.output = ConvS8Output::kF32;
  }
  emit_product_s8(b, p);
  return true;
}

/// com.microsoft: a, b, a_scale, b_scale, a_zero, b_zero, bias (float)
bool build_matmul_integer_to_float(PlanBuilder& b, NodeId id) {
  ProductS8 p;
  if (b.constant(b.input(id, 1)) == nullptr) return build_matmul_integer_to_float_of_two(b, id);
  if (!read_product(b, id, b.input(id, 1), b.input(id, 5), false, p)) return false;
  const auto a = byte_params(b, b.input(id, 2), b.input(id, 4), b.dtype(p.x));
  const auto scales = channel_scales(b, b.input(id, 3), p.shape.out_c);
  const Tensor* bias = b.constant(b.input(id, 6));
  if (!a || !scales || (b.input(id, 6) && (bias == nullptr || bias->size() != p.shape.out_c)))
    return false;
  for (const float scale : *scales) p.multipliers.push_back(a->scale * scale);
  p.x_zero = a->zero;
  p.output = ConvS8Output::kF32;
  if (bias != nullptr)
    p.float_bias = owned_floats(*bias);
  else
    take_float_bias(b, p);
  emit_product_s8(b, p);
  return true;
}

/// a, b, a_zero, b_zero -> int32
bool build_matmul_integer(PlanBuilder& b, NodeId id) {
  ProductS8 p;
  if (!read_product(b, id, b.input(id, 1), b.input(id, 3), false, p)) return false;
  const auto zero = byte_zero(b, b.input(id, 2), b.dtype(p.x));
  if (!zero) return false;
  p.x_zero = *zero;
  p.output = ConvS8Output::kI32;
  emit_product_s8(b, p);
  return true;
}

}  // namespace lapidary::exec
