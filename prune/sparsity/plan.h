#pragma once

#include <functional>
#include <string>
#include <vector>

#include "prune/sparsity/method.h"
#include "prune/sparsity/select.h"

namespace lapidary {

/// What SparsifyOptions mean for a graph.
struct SparsityPlan {
  const SparsityMethod* method = nullptr;
  std::vector<LayerWeights> layers;
  std::vector<std::string> names;  ///< of their constants
  double ratio = 0;
  bool global = false;
  std::vector<std::string> warnings;  ///< what stays dense
};
/// Throws Error{kUsage} for contradictions and where no layer is left.
SparsityPlan plan_sparsity(const Graph& graph, const SparsifyOptions& options);

/// Weights and what is known of them, by the constant's name.
using TensorOf = std::function<Tensor(const std::string& name)>;
/// What the plan's method drops of `ratio` of the weights: masks by name. `masked` gives the masks
/// that there are (empty: none). Throws Error{kInvalid} for weights that are not finite.
Masks choose_masks(const SparsityPlan& plan, const SparsifyOptions& options, double ratio,
                   const TensorOf& weights, const TensorOf& masked);

}  // namespace lapidary
