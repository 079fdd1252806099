#include <ATen/ops/clamp.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "src/exec/fake_quantize.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/fake_quantize_bias.h"
#include "src/train/lowering.h"

// FakeQuantize: what src/exec/fake_quantize.h computes, on tensors as they lie in memory; on other
// devices than the CPU the same of ATen's calls. Backward needs x, and computes anew what follows
// from it.

namespace lapidary::train {

namespace {

struct Rule : torch::CustomClassHolder {
  int64_t axis = -1;  ///< of scale and zero point; -1: one of each
  int qmin = 0, qmax = 255;
  std::string gradient = "lsq";
  float gradient_scale = 1;
};

/// A dense tensor in any order of axes: the element at offset o is of slice o / inner % slices.
FakeQuantize seen(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero,
                  const Rule& rule) {
  FakeQuantize how{.inner = x.numel(),
                   .scale = scale.data_ptr<float>(),
                   .zero_point = zero.defined() ? zero.data_ptr<float>() : nullptr,
                   .qmin = rule.qmin,
                   .qmax = rule.qmax};
  if (rule.axis < 0 || x.numel() == 0) return how;
  how.slices = x.size(rule.axis);
  how.inner = x.stride(rule.axis);
  how.outer = x.numel() / (how.slices * how.inner);
  return how;
}

/// Scale or zero point in a shape that broadcasts to x.
at::Tensor beside(const at::Tensor& each, const at::Tensor& x, int64_t axis) {
  if (axis < 0) return each.reshape({});
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[static_cast<size_t>(axis)] = -1;
  return each.reshape(shape);
}

/// The sum over all that shares a scale.
at::Tensor sum_to(const at::Tensor& elements, const at::Tensor& like, int64_t axis) {
  if (axis < 0) return elements.sum().reshape(like.sizes());
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < elements.dim(); ++i)
    if (i != axis) axes.push_back(i);
  return (axes.empty() ? elements : elements.sum(axes)).reshape(like.sizes());
}

/// Of ATen's calls: u = x / s, r = rint(u), between the levels bottom and top; a NaN counts as
/// below.
struct Composed {
  at::Tensor s, bottom, top, u, r, below, above;

  Composed(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& zero, const Rule& rule)
      : s(beside(scale, x, rule.axis).clamp_min(kLeastFakeScale)), u(x.div(s)), r(u.round()) {
    const at::Tensor z = zero.defined()
                             ? beside(zero, x, rule.axis).round().clamp(rule.qmin, rule.qmax)
                             : at::zeros_like(s);
    bottom = z.neg().add(rule.qmin);
    top = z.neg().add(rule.qmax);
    below = r.ge(bottom).logical_not();
    above = r.gt(top);
  }
  at::Tensor value() const { return at::where(u.isnan(), u, r.clamp(bottom, top).mul(s)); }
};

/// dx, ds and dz.
torch::autograd::variable_list composed_gradients(const at::Tensor& g, const at::Tensor& x,
                                                  const at::Tensor& scale, const at::Tensor& zero,
                                                  const Rule& rule) {
  const Composed c(x, scale, zero, rule);
  const at::Tensor outside = c.below.logical_or(c.above), none = at::zeros_like(g);
  at::Tensor ds = at::zeros_like(scale), dz = at::zeros_like(scale);
  if (rule.gradient == "pact")
    ds = sum_to(at::where(c.above, g.mul(c.top), none), scale, rule.axis);
  if (rule.gradient == "lsq") {
    const at::Tensor slope = at::where(c.above, c.top, at::where(c.below, c.bottom, c.r.sub(c.u)));
    ds = sum_to(g.mul(slope), scale, rule.axis);
    dz = sum_to(at::where(outside, g.mul(c.s).neg(), none), scale, rule.axis);
  }
  return {at::where(outside, none, g), ds.mul_(rule.gradient_scale), dz.mul_(rule.gradient_scale)};
}

/// As it lies: dense, in any order of axes.
at::Tensor dense(const at::Tensor& x) {
  return x.is_non_overlapping_and_dense() ? x : x.contiguous();
}

/// In x's order of axes.
at::Tensor alike(const at::Tensor& g, const at::Tensor& x) {
  return g.strides() == x.strides() ? g : at::empty_like(x).copy_(g);
}

struct FakeQuantizeFunction : torch::autograd::Function<FakeQuantizeFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& any,
                            const at::Tensor& scale, const c10::optional<at::Tensor>& zero,
                            const c10::intrusive_ptr<Rule>& rule) {
    const at::Tensor x = dense(any), scales = scale.contiguous();
    const at::Tensor zeros = zero ? zero->contiguous() : at::Tensor();
    context->save_for_backward({x, scales, zeros});
    context->saved_data["rule"] = c10::IValue::make_capsule(rule);
    if (!x.is_cpu()) return Composed(x, scales, zeros, *rule).value();
    at::Tensor y = at::empty_like(x);
    fake_quantize(seen(x, scales, zeros, *rule), x.data_ptr<float>(), y.data_ptr<float>());
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& up) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &zero = saved[2];
    const auto held = context->saved_data["rule"].toCapsule();
    const Rule& rule = static_cast<const Rule&>(*held);
    torch::autograd::variable_list out;
    if (x.is_cpu()) {
      const at::Tensor g = alike(up[0], x);
      out = {at::empty_like(x), at::Tensor(), at::Tensor()};
      FakeQuantizeGradient gradient{
          .kind = rule.gradient, .factor = rule.gradient_scale, .x = out[0].data_ptr<float>()};
      if (context->needs_input_grad(1)) {
        out[1] = at::empty_like(scale);
        gradient.scale = out[1].data_ptr<float>();
      }
      if (zero.defined() && context->needs_input_grad(2)) {
        out[2] = at::empty_like(zero);
        gradient.zero_point = out[2].data_ptr<float>();
      }
      fake_quantize_backward(seen(x, scale, zero, rule), g.data_ptr<float>(), x.data_ptr<float>(),
                             gradient);
    } else {
      out = composed_gradients(up[0], x, scale, zero, rule);
    }
    if (!zero.defined()) out[2] = at::Tensor();
    out.emplace_back();
    return out;
  }
};

/// A value of its own whose gradient is that of `bias`.
struct StraightThrough : torch::autograd::Function<StraightThrough> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor&,
                            const at::Tensor& value) {
    return value;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& up) {
    return {up[0], at::Tensor()};
  }
};

}  // namespace

Outputs lower_fake_quantize(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  auto rule = c10::make_intrusive<Rule>();
  if (c.attrs().has("axis") && c.input(1).numel() > 1) {
    rule->axis = c.attrs().get_int("axis", 0);
    if (rule->axis < 0) rule->axis += x.dim();
  }
  rule->qmin = static_cast<int>(c.attrs().get_int("qmin", 0));
  rule->qmax = static_cast<int>(c.attrs().get_int("qmax", 255));
  rule->gradient = c.attrs().get_string("gradient", "lsq");
  rule->gradient_scale = c.attrs().get_float("gradient_scale", 1);
  c10::optional<at::Tensor> zero;
  if (c.has(2)) zero = c.input(2);
  return {FakeQuantizeFunction::apply(x, c.input(1), zero, rule)};
}

/// One number per channel: on the host whatever the device is.
Outputs lower_fake_quantize_bias(LowerContext& c) {
  FakeQuantizeBias::Inputs in;
  std::array<at::Tensor, std::tuple_size_v<FakeQuantizeBias::Inputs>> host;
  for (size_t i = 0; i < in.size(); ++i) {
    if (!c.has(i)) continue;
    host[i] = c.input(i).detach().to(at::kCPU).contiguous();
    in[i] = {host[i].data_ptr<float>(), static_cast<size_t>(host[i].numel())};
  }
  at::Tensor y = at::empty_like(host[0]);
  fake_quantize_bias(FakeQuantizeBias::of(in, c.attrs()), in[0].data(), y.data_ptr<float>());
  return {StraightThrough::apply(c.input(0), y.to(c.input(0).device()))};
}

}  // namespace lapidary::train
