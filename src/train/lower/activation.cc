#include <ATen/ops/abs.h>
#include <ATen/ops/celu.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/mish.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "src/train/lowering.h"

// Functions of one element.

namespace lapidary::train {

Outputs lower_abs(LowerContext& c) { return {c.input(0).abs()}; }
Outputs lower_neg(LowerContext& c) { return {c.input(0).neg()}; }
Outputs lower_sqrt(LowerContext& c) { return {c.input(0).sqrt()}; }
Outputs lower_exp(LowerContext& c) { return {c.input(0).exp()}; }
Outputs lower_log(LowerContext& c) { return {c.input(0).log()}; }
Outputs lower_sin(LowerContext& c) { return {c.input(0).sin()}; }
Outputs lower_cos(LowerContext& c) { return {c.input(0).cos()}; }
Outputs lower_atan(LowerContext& c) { return {c.input(0).atan()}; }
Outputs lower_erf(LowerContext& c) { return {c.input(0).erf()}; }
Outputs lower_tanh(LowerContext& c) { return {c.input(0).tanh()}; }
Outputs lower_sigmoid(LowerContext& c) { return {c.input(0).sigmoid()}; }
Outputs lower_reciprocal(LowerContext& c) { return {c.input(0).reciprocal()}; }
Outputs lower_mish(LowerContext& c) { return {at::mish(c.input(0))}; }
Outputs lower_softplus(LowerContext& c) { return {at::softplus(c.input(0))}; }
Outputs lower_identity(LowerContext& c) { return {c.input(0)}; }

// Steps: their gradient is 0.
Outputs lower_sign(LowerContext& c) { return {c.input(0).sign()}; }
Outputs lower_round(LowerContext& c) { return {c.input(0).round()}; }  // half to even
Outputs lower_floor(LowerContext& c) { return {c.input(0).floor()}; }
Outputs lower_ceil(LowerContext& c) { return {c.input(0).ceil()}; }

Outputs lower_relu(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  return {c.may_overwrite(0) ? at::Tensor(x).relu_() : x.relu()};
}

Outputs lower_leaky_relu(LowerContext& c) {
  return {at::leaky_relu(c.input(0), c.attrs().get_float("alpha", 0.01f))};
}

Outputs lower_thresholded_relu(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  return {at::where(x.gt(c.attrs().get_float("alpha", 1)), x, at::zeros_like(x))};
}

/// The slope is broadcast to x.
Outputs lower_prelu(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  return {at::where(x.lt(0), x.mul(c.input(1)), x)};
}

Outputs lower_clip(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  const auto low = c.fixed_scalar(1), high = c.fixed_scalar(2);
  if (low && high) return {at::clamp(x, *low, *high)};
  if (low && !c.has(2)) return {x.clamp_min(*low)};
  if (high && !c.has(1)) return {x.clamp_max(*high)};
  at::Tensor y = x;
  if (c.has(1)) y = y.maximum(c.input(1));
  if (c.has(2)) y = y.minimum(c.input(2));
  return {y};
}

Outputs lower_hard_sigmoid(LowerContext& c) {
  const float alpha = c.attrs().get_float("alpha", 0.2f), beta = c.attrs().get_float("beta", 0.5f);
  return {c.input(0).mul(alpha).add(beta).clamp(0, 1)};
}

Outputs lower_hard_swish(LowerContext& c) { return {at::hardswish(c.input(0))}; }

Outputs lower_gelu(LowerContext& c) {
  return {at::gelu(c.input(0), c.attrs().get_string("approximate", "none"))};
}

Outputs lower_swish(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  return {x.mul(x.mul(c.attrs().get_float("alpha", 1)).sigmoid())};
}

Outputs lower_elu(LowerContext& c) {
  return {at::elu(c.input(0), c.attrs().get_float("alpha", 1))};
}

/// gamma (x > 0 ? x : alpha (e^x - 1))
Outputs lower_selu(LowerContext& c) {
  return {at::elu(c.input(0), c.attrs().get_float("alpha", 1.67326319217681884765625f),
                  c.attrs().get_float("gamma", 1.05070102214813232421875f))};
}

Outputs lower_celu(LowerContext& c) {
  return {at::celu(c.input(0), c.attrs().get_float("alpha", 1))};
}

Outputs lower_softsign(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  return {x.div(x.abs().add(1))};
}

}  // namespace lapidary::train
