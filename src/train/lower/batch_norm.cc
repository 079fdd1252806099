#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/native_batch_norm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cfloat>
#include <cmath>
#include <limits>

#include "src/exec/batch_norm.h"
#include "src/ops/fake_quantize.h"
#include "src/train/lower/batch_norm_across.h"
#include "src/train/lower/norm.h"

// BatchNormalization; batch statistics are those of all processes. Where channels lie innermost
// the kernels of src/exec compute it, together with a Relu, Clip or FakeQuantize that follows:
// backward keeps its input alone, and reads memory twice where op after op would five times.

namespace lapidary::train {

namespace {

bool uses_batch(const LowerContext& c) {
  return c.attrs().get_int("training_mode", 0) != 0 ||
         (c.mode().batch_statistics && c.is_constant(3) && c.is_constant(4));
}

// -- what follows

using Kind = AfterBatchNorm::Kind;

void clamp(AfterBatchNorm& then, float lo, float hi, float least) {
  then.kind = Kind::kClamp;
  then.lo = std::min(std::max(then.lo, lo), hi);
  then.hi = std::min(std::max(then.hi, lo), hi);
  then.least = std::max(then.least, least);
  then.most = std::min(then.most, hi);
}

/// None where it takes what only the nodes by themselves can do.
std::optional<AfterBatchNorm> after(const std::vector<LowerContext>& following) {
  constexpr float kMost = std::numeric_limits<float>::infinity();
  AfterBatchNorm out;
  for (const LowerContext& c : following) {
    if (c.node().is("Relu")) {
      clamp(out, 0, kMost, FLT_MIN);
    } else if (c.node().is("Clip")) {
      const auto lo = c.fixed_scalar(1), hi = c.fixed_scalar(2);
      if ((c.has(1) && !lo) || (c.has(2) && !hi)) return std::nullopt;
      const auto low = static_cast<float>(lo.value_or(-kMost));
      clamp(out, low, static_cast<float>(hi.value_or(kMost)), low);
    } else {
      if (c.input(1).numel() != 1) return std::nullopt;
      const std::string gradient = c.attrs().get_string("gradient", "lsq");
      out.kind = Kind::kFakeQuantize;
      out.qmin = static_cast<int>(c.attrs().get_int("qmin", 0));
      out.qmax = static_cast<int>(c.attrs().get_int("qmax", 255));
      out.gradient = gradient == "ste" ? "ste" : gradient == "pact" ? "pact" : "lsq";
      out.factor = c.attrs().get_float("gradient_scale", 1);
    }
  }
  return out;
}

// -- the function

struct How : torch::CustomClassHolder {
  AfterBatchNorm then;
  bool of_batch = false;
};

/// Saved tensors, scale and zero point of a FakeQuantize last (or undefined).
enum Slot : size_t { kX, kScale, kBias, kMean, kInverse, kFakeScale, kFakeZero };

BatchNorm described(const torch::autograd::variable_list& in, const How& how) {
  BatchNorm out{.rows = in[kX].numel() / in[kX].size(1),
                .channels = in[kX].size(1),
                .mean = in[kMean].data_ptr<float>(),
                .inverse = in[kInverse].data_ptr<float>(),
                .scale = in[kScale].data_ptr<float>(),
                .bias = in[kBias].data_ptr<float>(),
                .then = how.then};
  if (in[kFakeScale].defined()) out.then.scale = *in[kFakeScale].data_ptr<float>();
  if (in[kFakeZero].defined()) out.then.zero_point = *in[kFakeZero].data_ptr<float>();
  return out;
}

struct BatchNormFunction : torch::autograd::Function<BatchNormFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& scale, const at::Tensor& bias, const at::Tensor& mean,
                            const at::Tensor& inverse, const c10::optional<at::Tensor>& fake_scale,
                            const c10::optional<at::Tensor>& fake_zero,
                            const c10::intrusive_ptr<How>& how) {
    const torch::autograd::variable_list in{x,
                                            scale.contiguous(),
                                            bias.contiguous(),
                                            mean.contiguous(),
                                            inverse,
                                            fake_scale.value_or(at::Tensor()),
                                            fake_zero.value_or(at::Tensor())};
    context->save_for_backward(in);
    context->saved_data["how"] = c10::IValue::make_capsule(how);
    at::Tensor y = at::empty_like(x);
    batch_norm(described(in, *how), x.data_ptr<float>(), y.data_ptr<float>());
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& up) {
    const auto in = context->get_saved_variables();
    const auto held = context->saved_data["how"].toCapsule();
    const How& how = static_cast<const How&>(*held);
    const at::Tensor& x = in[kX];
    // In x's order of axes.
    const at::Tensor g = up[0].strides() == x.strides() ? up[0] : at::empty_like(x).copy_(up[0]);
    torch::autograd::variable_list out(8);
    out[kX] = at::empty_like(x);
    out[kScale] = at::empty_like(in[kScale]);
    out[kBias] = at::empty_like(in[kBias]);
    BatchNormGradient gradient{.x = out[kX].data_ptr<float>(),
                               .scale = out[kScale].data_ptr<float>(),
                               .bias = out[kBias].data_ptr<float>()};
    if (in[kFakeScale].defined() && context->needs_input_grad(kFakeScale)) {
      out[kFakeScale] = at::empty_like(in[kFakeScale]);
      gradient.fake_scale = out[kFakeScale].data_ptr<float>();
    }
    if (in[kFakeZero].defined() && context->needs_input_grad(kFakeZero)) {
      out[kFakeZero] = at::empty_like(in[kFakeZero]);
      gradient.fake_zero = out[kFakeZero].data_ptr<float>();
    }
    batch_norm_backward(described(in, how), how.of_batch, g.data_ptr<float>(), x.data_ptr<float>(),
                        gradient);
    return out;
  }
};

bool channels_innermost(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.dim() > 1 && x.numel() > 0 &&
         x.is_non_overlapping_and_dense() && (x.size(1) == 1 || x.stride(1) == 1);
}

/// f(i) of each channel.
template <class F>
at::Tensor per_channel(int64_t channels, const F& f) {
  at::Tensor out = at::empty({channels}, at::TensorOptions(at::kFloat));
  for (int64_t i = 0; i < channels; ++i) out.data_ptr<float>()[i] = f(i);
  return out;
}

struct Statistics {
  at::Tensor mean, variance;
};

Statistics statistics_of(const at::Tensor& x) {
  const auto channels = at::IntArrayRef(x.sizes()).slice(1, 1);
  Statistics out{at::empty(channels, at::TensorOptions(at::kFloat)),
                 at::empty(channels, at::TensorOptions(at::kFloat))};
  batch_moments(x.numel() / x.size(1), x.size(1), x.data_ptr<float>(), out.mean.data_ptr<float>(),
                out.variance.data_ptr<float>());
  return out;
}

at::Tensor normalized(LowerContext& c, const Statistics& by) {
  auto how = c10::make_intrusive<How>();
  how->of_batch = uses_batch(c);
  const std::vector<LowerContext> following = c.following();
  c10::optional<at::Tensor> fake_scale, fake_zero;
  if (const auto then = after(following); then && !following.empty()) {
    how->then = *then;
    c.take_following();
    if (then->kind == Kind::kFakeQuantize) {
      fake_scale = following.back().input(1);
      if (following.back().has(2)) fake_zero = following.back().input(2);
    }
  }
  const at::Tensor spread = by.variance.contiguous();
  const at::Tensor inverse = per_channel(spread.numel(), [&](int64_t i) {
    return static_cast<float>(1 / std::sqrt(double{spread.data_ptr<float>()[i]} + epsilon(c)));
  });
  return BatchNormFunction::apply(c.input(0), c.input(1), c.input(2), by.mean, inverse, fake_scale,
                                  fake_zero, how);
}

/// y, and the batch's statistics.
std::pair<at::Tensor, Statistics> on_batch(LowerContext& c) {
  const at::Tensor &x = c.input(0), &scale = c.input(1), &bias = c.input(2);
  if (!c.others() && channels_innermost(x)) {
    Statistics found = statistics_of(x.detach());
    return {normalized(c, found), found};
  }
  const auto [y, mean, inverse] =
      c.others() ? batch_norm_across(*c.others(), x, scale, bias, epsilon(c))
                 : at::native_batch_norm(x, scale, bias, {}, {}, true, 0, epsilon(c));
  // inverse = 1 / sqrt(variance + epsilon)
  return {y, {mean.detach(), inverse.detach().pow(-2).sub(epsilon(c)).clamp_min(0)}};
}

}  // namespace

bool follows_batch_norm(const Graph& graph, const Analysis& analysis,
                        const std::vector<NodeId>& chain) {
  const Node& last = graph.node(chain.back());
  const bool behind_fake =
      chain.size() > 2 && graph.node(chain[chain.size() - 2]).is("FakeQuantize", kOwnDomain);
  if (behind_fake) return false;
  if (last.is("FakeQuantize", kOwnDomain)) return chain.size() == 2;
  const auto fixed = [&](size_t i) {
    return i >= last.inputs.size() || !last.inputs[i] ||
           analysis.values[last.inputs[i].index] == Dependence::kFixed;
  };
  return last.is("Relu") || (last.is("Clip") && fixed(1) && fixed(2));
}

Outputs lower_batch_norm(LowerContext& c) {
  const at::Tensor &x = c.input(0), &mean = c.input(3), &variance = c.input(4);
  if (!uses_batch(c)) {
    if (channels_innermost(x) && !mean.requires_grad() && !variance.requires_grad())
      return {normalized(c, {mean.detach(), variance.detach()})};
    return {std::get<0>(
        at::native_batch_norm(x, c.input(1), c.input(2), mean, variance, false, 0, epsilon(c)))};
  }
  auto [y, found] = on_batch(c);
  const double momentum = c.attrs().get_float("momentum", 0.9f);
  const auto moved = [&](const at::Tensor& running, const at::Tensor& batch) {
    return running.detach().mul(momentum).add_(batch, 1 - momentum);
  };
  const at::Tensor new_mean = moved(mean, found.mean);
  const at::Tensor new_variance = moved(variance, found.variance);
  if (c.is_constant(3) && c.is_constant(4) && c.mode().batch_statistics) {
    c.update(3, new_mean);
    c.update(4, new_variance);
  }
  return {y, new_mean, new_variance};
}

}  // namespace lapidary::train
