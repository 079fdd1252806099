#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/instance_norm.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/ones_like.h>

#include <numeric>

#include "src/train/lower/norm.h"

// Normalizations but for batches, and Dropout.

namespace lapidary::train {

Outputs lower_layer_norm(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  int64_t axis = c.attrs().get_int("axis", -1);
  if (axis < 0) axis += x.dim();
  const at::IntArrayRef shape = x.sizes().slice(static_cast<size_t>(axis));
  const auto whole = [&](size_t i) {
    return c.has(i) ? c.input(i).expand(shape).contiguous() : at::Tensor();
  };
  const auto [y, mean, inverse] = at::native_layer_norm(x, shape, whole(1), whole(2), epsilon(c));
  return {y, mean, inverse};
}

Outputs lower_group_norm(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const int64_t groups = c.attrs().get_int("num_groups", 1);
  const auto per_channel = [&](const at::Tensor& t) {  // version 18 has one per group
    return t.size(0) == x.size(1) ? t : t.repeat_interleave(x.size(1) / groups);
  };
  return {at::group_norm(x, groups, per_channel(c.input(1)), per_channel(c.input(2)), epsilon(c))};
}

Outputs lower_instance_norm(LowerContext& c) {
  return {
      at::instance_norm(c.input(0), c.input(1), c.input(2), {}, {}, true, 0, epsilon(c), false)};
}

/// x / sqrt(mean(x^2) + epsilon) scale over the axes from `axis` on.
Outputs lower_rms_norm(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  int64_t axis = c.attrs().get_int("axis", -1);
  if (axis < 0) axis += x.dim();
  std::vector<int64_t> axes(static_cast<size_t>(x.dim() - axis));
  std::iota(axes.begin(), axes.end(), axis);
  return {x.mul(x.square().mean(axes, true).add(epsilon(c)).rsqrt()).mul(c.input(1))};
}

Outputs lower_mean_variance_norm(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const auto axes = c.attrs().get_ints("axes", {0, 2, 3});
  const at::Tensor centred = x.sub(x.mean(axes, true));
  return {centred.div(centred.square().mean(axes, true).sqrt().add(1e-9))};
}

/// y = x / (bias + alpha / size sum of x^2 over `size` neighbouring channels)^beta
Outputs lower_lrn(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const int64_t size = c.attrs().get_int("size", 1), before = (size - 1) / 2;
  std::vector<int64_t> padding(2 * static_cast<size_t>(x.dim() - 2), 0);
  padding.insert(padding.end(), {before, size - 1 - before});
  const at::Tensor squares = at::constant_pad_nd(x.square(), padding, 0);
  at::Tensor sum = squares.narrow(1, 0, x.size(1));
  for (int64_t i = 1; i < size; ++i) sum = sum.add(squares.narrow(1, i, x.size(1)));
  const double alpha = c.attrs().get_float("alpha", 1e-4f) / static_cast<float>(size);
  const at::Tensor base = sum.mul(alpha).add(c.attrs().get_float("bias", 1));
  return {x.mul(base.pow(-c.attrs().get_float("beta", 0.75f)))};
}

/// In training y = x mask / (1 - ratio), else y = x.
Outputs lower_dropout(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const double ratio = c.has(1) ? c.floats(1)[0] : 0.5;
  if (!c.mode().training || ratio == 0) return {x, at::ones_like(x, at::kBool)};
  at::Generator random = at::make_generator<at::CPUGeneratorImpl>(c.seed());
  const at::Tensor mask = at::empty_like(x, x.options().device(at::kCPU).requires_grad(false))
                              .bernoulli_(1 - ratio, random)
                              .to(x.device());
  return {x.mul(mask.mul(1 / (1 - ratio))), mask.to(at::kBool)};
}

}  // namespace lapidary::train
