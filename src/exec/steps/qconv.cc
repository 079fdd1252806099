#include "src/exec/steps/common.h"
#include "src/exec/steps/groups.h"
#include "src/exec/steps/product_s8.h"
#include "src/exec/steps/rules.h"

namespace lapidary::exec {

namespace {

/// n groups as one; a weight that is its zero point multiplies by 0.
void join(ProductS8& p, int64_t n) {
  const std::vector<int32_t>& zeros = p.weights.zero_points;
  const auto zero = [&](int64_t oc) {
    return zeros.empty() ? 0 : zeros[zeros.size() == 1 ? 0 : static_cast<size_t>(oc)];
  };
  p.joined = join_groups(p.shape, n, static_cast<const uint8_t*>(p.weights.weights.data), zero);
  p.weights.weights.data = p.joined.data();
  p.shape.groups /= n;
}

/// Shape and weights of a convolution whose weights are input `w`.
bool read_conv(const PlanBuilder& b, NodeId id, size_t w, ValueId zero_point, ProductS8& p) {
  const Tensor* weights = b.constant(b.input(id, w));
  if (weights == nullptr || weights->rank() < 3) return false;
  const Shape kernel(weights->shape().begin() + 2, weights->shape().end());
  const auto shape = window_shape(b, id, p.x, b.output(id), kernel);
  if (!shape) return false;
  p.shape = *shape;
  p.shape.groups = b.attrs(id).get_int("group", 1);
  const auto packed = weights_s8(b, b.input(id, w), zero_point, p.shape.out_c);
  if (!packed) return false;
  p.weights = *packed;
  // Joined groups have other neighbours in K.
  if (const int64_t n = groups_to_join(p.shape); n > 1 && !b.saturates()) join(p, n);
  p.layout = Layout::kChannelsLast;
  return true;
}

}  // namespace

/// x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias
bool build_qlinear_conv(PlanBuilder& b, NodeId id) {
  ProductS8 p;
  p.x = b.input(id, 0);
  if (!is_byte(b.dtype(p.x)) || !read_conv(b, id, 3, b.input(id, 5), p)) return false;
  const auto x = byte_params(b, id, 1, b.dtype(p.x));
  const auto y = byte_params(b, id, 6, b.dtype(b.output(id)));
  const auto scales = channel_scales(b, b.input(id, 4), p.shape.out_c);
  const Tensor* bias = b.constant(b.input(id, 8));
  if (!x || !y || !scales || (b.input(id, 8) && bias == nullptr)) return false;
  for (const float scale : *scales)
    p.multipliers.push_back(kernels::requant_multiplier(x->scale, scale, y->scale));
  p.bias = bias ? bias->data<int32_t>().data() : nullptr;
  p.x_zero = x->zero;
  p.y_zero = y->zero;
  p.tail = byte_tail(b, id, /*residual=*/true);
  emit_product_s8(b, p);
  return true;
}

/// x, w, x_zero, w_zero -> int32
bool build_conv_integer(PlanBuilder& b, NodeId id) {
  ProductS8 p;
  p.x = b.input(id, 0);
  if (!is_byte(b.dtype(p.x)) || !read_conv(b, id, 1, b.input(id, 3), p)) return false;
  const auto zero = byte_zero(b, b.input(id, 2), b.dtype(p.x));
  if (!zero) return false;
  p.x_zero = *zero;
  p.output = kernels::ConvS8Output::kI32;
  p.tail = {.nodes = {id}, .output = b.output(id)};
  emit_product_s8(b, p);
  return true;
}

}  // namespace lapidary::exec
