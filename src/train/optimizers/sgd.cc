#include "src/train/optimizers/optimizer.h"

// g += wd w;  m = momentum m + g;  w -= lr (nesterov ? g + momentum m : m)

namespace lapidary::train {

void update_sgd(ParameterGroup& group, const UpdateContext& context) {
  const double momentum = context.spec.momentum;
  at::Tensor& g = group.gradients;
  if (context.weight_decay != 0) g.add_(group.elements, context.weight_decay);
  at::Tensor& m = group.memory[0];
  m.mul_(momentum).add_(g);
  if (context.spec.nesterov) {
    g.add_(m, momentum);
    group.elements.sub_(g, context.lr);
  } else {
    group.elements.sub_(m, context.lr);
  }
}

}  // namespace lapidary::train
