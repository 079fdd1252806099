// M = sum over steps of -g w (Sanh et al. 2020): small where training moves w towards 0.

#include "prune/sparsity/method.h"
#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

const SparsityMethod& sparsity_movement() {
  static const SparsityMethod kMethod{
      .name = "movement",
      .help = "what training moves towards 0, the least sum of -gradient * w; while training only",
      .one_shot = false,
      .scores = [](const ScoreContext& context) {
        const auto* all = context.options.movement;
        if (all == nullptr)
          fail_usage(
              "movement is seen while training: give `sparsify: {{method: movement}}` to a step "
              "that trains");
        const auto found = all->find(std::string(context.tensor));
        if (found == all->end() || found->second.dtype() != DType::kF32 ||
            found->second.size() != std::ssize(context.weights))
          fail_usage("there are no movement scores of '{}'", printable(context.tensor, 200));
        const auto moved = found->second.data<float>();
        std::vector<float> out(context.weights.size());
        for_each_element(context.matrix, [&](size_t i, size_t offset) { out[i] = moved[offset]; });
        return out;
      }};
  return kMethod;
}

}  // namespace lapidary
