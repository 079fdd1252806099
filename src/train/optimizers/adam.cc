#include <cmath>

#include "src/train/optimizers/optimizer.h"

// a = beta1 a + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
// w -= lr (a / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
// adam: g += wd w before; adamw: w -= lr wd w before.

namespace lapidary::train {

namespace {

void move(ParameterGroup& group, const UpdateContext& context) {
  const OptimizerSpec& spec = context.spec;
  const auto t = static_cast<double>(context.step);
  at::Tensor& a = group.memory[0];
  at::Tensor& v = group.memory[1];
  a.mul_(spec.beta1).add_(group.gradients, 1 - spec.beta1);
  v.mul_(spec.beta2).addcmul_(group.gradients, group.gradients, 1 - spec.beta2);
  const at::Tensor divisor =
      v.sqrt().mul_(1 / std::sqrt(1 - std::pow(spec.beta2, t))).add_(spec.epsilon);
  group.elements.addcdiv_(a, divisor, -context.lr / (1 - std::pow(spec.beta1, t)));
}

}  // namespace

void update_adam(ParameterGroup& group, const UpdateContext& context) {
  if (context.weight_decay != 0) group.gradients.add_(group.elements, context.weight_decay);
  move(group, context);
}

void update_adamw(ParameterGroup& group, const UpdateContext& context) {
  if (context.weight_decay != 0) group.elements.mul_(1 - context.lr * context.weight_decay);
  move(group, context);
}

}  // namespace lapidary::train
