#include <algorithm>
#include <cmath>

#include "lapidary/prune.h"
#include "src/base/fail.h"
#include "src/ops/elements.h"

namespace lapidary {

double compare_with_masked(const PruningGraph& graph, const RemovedUnits& removed,
                           const Graph& pruned, const Executor::Values& inputs, int threads) {
  const auto masked = Executor(graph.masked(removed), {.threads = threads}).run(inputs);
  const auto cut = Executor(pruned, {.threads = threads}).run(inputs);
  double worst = 0;
  for (const auto& [name, value] : masked) {
    const Tensor& other = cut.at(name);
    if (value.shape() != other.shape())
      fail(ErrorCode::kInternal, "output '{}' is {} where it was {}", name,
           shape_text(other.shape()), shape_text(value.shape()));
    if (!is_float(value.dtype())) {
      if (!value.equals(other)) worst = 1;
      continue;
    }
    const std::vector<double> a = read_as<double>(value), b = read_as<double>(other);
    double largest = 0, difference = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      if (!std::isfinite(a[i]) || !std::isfinite(b[i]))
        fail_invalid("output '{}' is not finite on the inputs that pruning is proved on", name);
      largest = std::max(largest, std::abs(a[i]));
      difference = std::max(difference, std::abs(a[i] - b[i]));
    }
    if (difference > 0) worst = std::max(worst, largest > 0 ? difference / largest : 1);
  }
  return worst;
}

}  // namespace lapidary
