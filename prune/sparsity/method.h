#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "calibrate/layer_weights.h"
#include "lapidary/data.h"
#include "lapidary/sparsify.h"

namespace lapidary {

struct ScoreContext {
  const SparsifyOptions& options;
  std::string_view tensor;         ///< the constant's name
  std::span<const float> weights;  ///< its elements
  const WeightMatrix& matrix;
  uint64_t number = 0;  ///< of the tensor among those that are made sparse
};

/// A way to choose what becomes zero: one file in methods/, one row in methods.def. It either
/// scores elements, of which the least are dropped, or chooses and changes weights itself.
struct SparsityMethod {
  std::string_view name, help;
  bool one_shot = true;  ///< false: its scores are of training
  /// Of each element, in the order of for_each_element.
  std::vector<float> (*scores)(const ScoreContext&) = nullptr;
  /// Makes the weights sparse; the others may change too.
  void (*solve)(Graph&, std::span<const LayerWeights>, const SparsifyOptions&,
                const Dataset&) = nullptr;
  /// Why it cannot make weights of such a layer sparse; empty: it can.
  std::string (*refuses)(const Graph&, const LayerWeights&) = nullptr;
};
/// Throws Error{kUsage} with the closest names.
const SparsityMethod& find_sparsity_method(std::string_view name);

}  // namespace lapidary
