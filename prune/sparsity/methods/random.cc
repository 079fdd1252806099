// A number for each element, by the seed and where it stands: what others must be better than.

#include "prune/sparsity/method.h"
#include "src/base/rng.h"

namespace lapidary {

const SparsityMethod& sparsity_random() {
  static const SparsityMethod kMethod{
      .name = "random",
      .help = "any, by the seed: what the others must be better than",
      .scores = [](const ScoreContext& context) {
        Rng rng = Rng::of(context.options.seed, {context.number});
        std::vector<float> out(context.weights.size());
        for (float& score : out) score = static_cast<float>(rng.uniform());
        return out;
      }};
  return kMethod;
}

}  // namespace lapidary
