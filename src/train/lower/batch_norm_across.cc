#include "src/train/lower/batch_norm_across.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>
#include <vector>

// h = (x - mean) inverse, y = h scale + bias; with G = dL/dy, sums over the batches of all ranks:
//   dx = scale inverse (G - mean(G) - h mean(G h)),  dscale = sum G h,  dbias = sum G
// The last two over this rank's batch alone: gradients of parameters are averaged later.

namespace lapidary::train {

namespace {

std::vector<int64_t> all_but_channels(const at::Tensor& x) {
  std::vector<int64_t> axes(static_cast<size_t>(x.dim()));
  std::iota(axes.begin(), axes.end(), int64_t{0});
  axes.erase(axes.begin() + 1);
  return axes;
}

/// [C] as [1, C, 1, ...].
at::Tensor beside(const at::Tensor& vector, const at::Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[1] = -1;
  return vector.reshape(shape);
}

struct AcrossFunction : torch::autograd::Function<AcrossFunction> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const at::Tensor& x, const at::Tensor& scale,
                                                const at::Tensor& bias, int64_t others,
                                                double epsilon) {
    auto& processes = *reinterpret_cast<Communicator*>(others);
    const auto axes = all_but_channels(x);
    const double own = static_cast<double>(x.numel()) / static_cast<double>(x.size(1));
    at::Tensor sums = at::cat({x.sum(axes), at::full({1}, own, x.options())});
    processes.sum(sums);
    const at::Tensor count = sums.narrow(0, x.size(1), 1);
    const at::Tensor mean = sums.narrow(0, 0, x.size(1)).div(count);
    at::Tensor squares = x.sub(beside(mean, x)).square().sum(axes);
    processes.sum(squares);
    const at::Tensor inverse = squares.div(count).add(epsilon).rsqrt();
    context->saved_data["others"] = others;
    context->save_for_backward({x, scale, mean, inverse, count});
    const at::Tensor factor = scale.mul(inverse);
    const at::Tensor y = x.mul(beside(factor, x)).add(beside(bias.sub(mean.mul(factor)), x));
    context->mark_non_differentiable({mean, inverse});
    return {y, mean, inverse};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list up) {
    auto& processes = *reinterpret_cast<Communicator*>(context->saved_data["others"].toInt());
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1], &mean = saved[2], &inverse = saved[3];
    const at::Tensor &count = saved[4], &g = up[0];
    const auto axes = all_but_channels(x);
    const at::Tensor h = x.sub(beside(mean, x)).mul(beside(inverse, x));
    const at::Tensor dbias = g.sum(axes), dscale = g.mul(h).sum(axes);
    at::Tensor sums = at::cat({dbias, dscale});
    processes.sum(sums);
    sums = sums.div(count);
    const int64_t channels = x.size(1);
    const at::Tensor dx = g.sub(beside(sums.narrow(0, 0, channels), x))
                              .sub(h.mul(beside(sums.narrow(0, channels, channels), x)))
                              .mul(beside(scale.mul(inverse), x));
    return {dx, dscale, dbias, {}, {}};
  }
};

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor> batch_norm_across(Communicator& others,
                                                                 const at::Tensor& x,
                                                                 const at::Tensor& scale,
                                                                 const at::Tensor& bias,
                                                                 double epsilon) {
  const auto made =
      AcrossFunction::apply(x, scale, bias, reinterpret_cast<int64_t>(&others), epsilon);
  return {made[0], made[1], made[2]};
}

}  // namespace lapidary::train
