#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <string>
#include <vector>

#include "src/ops/binarize.h"
#include "src/ops/ternarize_weight.h"
#include "src/train/lowering.h"

// Binarize, BinarizeWeight, TernarizeWeight: what src/ops computes, step by step in the same types,
// of ATen's calls. Backward needs what was rounded, and computes anew what follows from it.

namespace lapidary::train {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor like(const at::Tensor& x, double value) { return at::full({}, value, x.options()); }

at::Tensor signs(const at::Tensor& x) {
  return at::where(x.ge(0), like(x, 1), at::where(x.lt(0), like(x, -1), x));
}

/// The derivative that stands for that of sign(x); `sharpness` of one element, or undefined.
at::Tensor slope(const at::Tensor& x, const std::string& estimator, const at::Tensor& sharpness) {
  if (estimator == "swish") {
    constexpr double kFlat = 80;  // cosh of more is no float32, and the slope is 0
    const at::Tensor u = x.mul(kSwishSteepness).clamp(-kFlat, kFlat);
    return u.mul(u.mul(.5).tanh()).neg().add(2).mul(kSwishSteepness).div(u.cosh().add(1));
  }
  if (estimator == "ede") {
    const at::Tensor t = sharpness.reshape({}), k = t.reciprocal().clamp_min(1);
    return x.mul(t).tanh().square().neg().add(1).mul(k.mul(t));
  }
  const at::Tensor inside = x.abs().le(1);
  return estimator == "bireal" ? at::where(inside, x.abs().mul(-2).add(2), like(x, 0))
                               : inside.to(x.scalar_type());
}

std::string estimator_of(LowerContext& c) { return c.attrs().get_string("estimator", "ste"); }

struct BinarizeFunction : torch::autograd::Function<BinarizeFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const c10::optional<at::Tensor>& sharpness,
                            const std::string& estimator) {
    context->save_for_backward({x, sharpness.value_or(at::Tensor())});
    context->saved_data["estimator"] = estimator;
    return signs(x);
  }
  static variable_list backward(AutogradContext* context, const variable_list& up) {
    const auto saved = context->get_saved_variables();
    return {up[0].mul(slope(saved[0], context->saved_data["estimator"].toStringRef(), saved[1])),
            at::Tensor(), at::Tensor()};
  }
};

/// Of a weight: sums over all axes but one, in float64.
struct WeightSums {
  std::vector<int64_t> axes;
  int64_t size = 1;

  WeightSums(const at::Tensor& w, int64_t axis) {
    for (int64_t d = 0; d < w.dim(); ++d) {
      if (d == (axis < 0 ? axis + w.dim() : axis)) continue;
      axes.push_back(d);
      size *= w.size(d);
    }
  }
  at::Tensor sum(const at::Tensor& x) const {
    const at::Tensor wide = x.to(at::kDouble);
    return axes.empty() ? wide : wide.sum(axes, true);
  }
  at::Tensor mean(const at::Tensor& x) const { return sum(x).div(static_cast<double>(size)); }
};

struct WeightRule : torch::CustomClassHolder {
  int64_t axis = 0;
  std::string scale = "mean", estimator = "ste";
  bool standardize = false;
};

/// w', s and, of a standardized weight, the deviation.
struct BinarizedWeight {
  at::Tensor w, scale, deviation;

  BinarizedWeight(const at::Tensor& weight, const WeightSums& slices, const WeightRule& rule)
      : w(weight) {
    if (rule.standardize) {
      w = w.sub(slices.mean(w).to(at::kFloat));
      const at::Tensor found = slices.mean(w.to(at::kDouble).square()).sqrt().to(at::kFloat);
      deviation = at::where(found.eq(0), like(found, 1), found);
      w = w.div(deviation);
    }
    const at::Tensor mean = slices.mean(w.abs()).to(at::kFloat);
    scale = rule.scale == "none"    ? like(w, 1)
            : rule.scale == "shift" ? mean.to(at::kDouble).log2().round().exp2().to(at::kFloat)
                                    : mean;
  }
};

struct BinarizeWeightFunction : torch::autograd::Function<BinarizeWeightFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& w,
                            const c10::optional<at::Tensor>& sharpness,
                            const c10::intrusive_ptr<WeightRule>& rule) {
    context->save_for_backward({w, sharpness.value_or(at::Tensor())});
    context->saved_data["rule"] = c10::IValue::make_capsule(rule);
    const BinarizedWeight p(w, WeightSums(w, rule->axis), *rule);
    return signs(p.w).mul_(p.scale);
  }
  static variable_list backward(AutogradContext* context, const variable_list& up) {
    const auto saved = context->get_saved_variables();
    const auto held = context->saved_data["rule"].toCapsule();
    const WeightRule& rule = static_cast<const WeightRule&>(*held);
    const WeightSums slices(saved[0], rule.axis);
    const BinarizedWeight p(saved[0], slices, rule);
    at::Tensor d = up[0].mul(p.scale).mul_(slope(p.w, rule.estimator, saved[1]));
    if (rule.standardize) {  // dw = (d - mean d - w' mean(d w')) / deviation
      const at::Tensor shift = slices.mean(d).to(at::kFloat);
      const at::Tensor along = slices.mean(d.mul(p.w)).to(at::kFloat);
      d = d.sub(shift).sub_(p.w.mul(along)).div_(p.deviation);
    }
    return {d, at::Tensor(), at::Tensor()};
  }
};

struct TernarizeWeightFunction : torch::autograd::Function<TernarizeWeightFunction> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& w, int64_t axis) {
    const WeightSums slices(w, axis);
    const at::Tensor size = w.abs();
    const at::Tensor d =
        slices.mean(size).to(at::kFloat).to(at::kDouble).mul(kTernaryShare).to(at::kFloat);
    const at::Tensor far = size.gt(d);
    const at::Tensor a = slices.sum(at::where(far, size, like(w, 0)))
                             .div(slices.sum(far).clamp_min(1))
                             .to(at::kFloat);
    return at::where(far, w.sign().mul(a), at::where(w.isnan(), w, like(w, 0)));
  }
  static variable_list backward(AutogradContext*, const variable_list& up) {
    return {up[0], at::Tensor()};
  }
};

struct LearnedTernaryFunction : torch::autograd::Function<LearnedTernaryFunction> {
  static at::Tensor limit(const at::Tensor& w, double threshold) {
    return w.abs().max().mul(like(w, threshold));
  }
  static at::Tensor forward(AutogradContext* context, const at::Tensor& w,
                            const at::Tensor& positive, const at::Tensor& negative,
                            double threshold) {
    context->save_for_backward({w, positive, negative});
    context->saved_data["threshold"] = threshold;
    const at::Tensor d = limit(w, threshold);
    const at::Tensor rest = at::where(w.isnan(), w, like(w, 0));
    return at::where(w.gt(d), positive.reshape({}),
                     at::where(w.lt(d.neg()), negative.reshape({}).neg(), rest));
  }
  static variable_list backward(AutogradContext* context, const variable_list& up) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &w = saved[0], &positive = saved[1], &negative = saved[2], &g = up[0];
    const at::Tensor d = limit(w, context->saved_data["threshold"].toDouble());
    const at::Tensor above = w.gt(d), below = w.lt(d.neg()), none = like(w, 0);
    const at::Tensor by =
        at::where(above, positive.reshape({}), at::where(below, negative.reshape({}), like(w, 1)));
    return {g.mul(by), at::where(above, g, none).sum().reshape(positive.sizes()),
            at::where(below, g, none).sum().neg().reshape(negative.sizes()), at::Tensor()};
  }
};

c10::optional<at::Tensor> sharpness_of(LowerContext& c) {
  return c.has(1) ? c10::optional<at::Tensor>(c.input(1)) : c10::nullopt;
}

}  // namespace

Outputs lower_binarize(LowerContext& c) {
  return {BinarizeFunction::apply(c.input(0), sharpness_of(c), estimator_of(c))};
}

Outputs lower_binarize_weight(LowerContext& c) {
  auto rule = c10::make_intrusive<WeightRule>();
  rule->axis = c.attrs().get_int("axis", 0);
  rule->scale = c.attrs().get_string("scale", "mean");
  rule->estimator = estimator_of(c);
  rule->standardize = c.attrs().get_int("standardize", 0) != 0;
  return {BinarizeWeightFunction::apply(c.input(0), sharpness_of(c), rule)};
}

Outputs lower_ternarize_weight(LowerContext& c) {
  if (!c.has(1)) return {TernarizeWeightFunction::apply(c.input(0), c.attrs().get_int("axis", 0))};
  const double threshold = c.attrs().get_float("threshold", kTernaryThreshold);
  return {LearnedTernaryFunction::apply(c.input(0), c.input(1), c.input(2), threshold)};
}

}  // namespace lapidary::train
