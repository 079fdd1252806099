// |w| (Han et al. 2015; global: Blalock et al. 2020)

#include <cmath>

#include "prune/sparsity/method.h"

namespace lapidary {

const SparsityMethod& sparsity_magnitude() {
  static const SparsityMethod kMethod{
      .name = "magnitude", .help = "the smallest |w|", .scores = [](const ScoreContext& context) {
        std::vector<float> out(context.weights.size());
        for_each_element(context.matrix, [&](size_t i, size_t offset) {
          out[i] = std::fabs(context.weights[offset]);
        });
        return out;
      }};
  return kMethod;
}

}  // namespace lapidary
