#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// What a few nodes compute together.
enum class RegionKind {
  kLayerNorm,         ///< (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias
  kRmsNorm,           ///< x / sqrt(mean(x^2) + epsilon) * scale
  kGelu,              ///< x/2 (1 + erf(x / sqrt 2))
  kTanhGelu,          ///< x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  kSilu,              ///< x sigmoid(x)
  kHardSwish,         ///< x clip(x + 3, 0, 6) / 6
  kMish,              ///< x tanh(log(1 + exp(x)))
  kSoftmax,           ///< softmax along an axis
  kAttentionSoftmax,  ///< softmax(factor * scores + mask) between two products
};
std::string_view region_name(RegionKind kind);
/// True for those that Q/DQ never cut; the others are a matter of the target.
bool is_uncuttable(RegionKind kind);

/// A set of nodes that only meet the rest of the graph at `inputs` and `output`.
struct Region {
  RegionKind kind{};
  std::vector<NodeId> nodes;    ///< in the order of the graph; the last makes `output`
  std::vector<ValueId> inputs;  ///< x (or the scores), then the mask where there is one
  ValueId output;
  ValueId scale, bias;        ///< normalization: constants, none where absent
  float epsilon = 0;          ///< normalization
  std::vector<int64_t> axes;  ///< normalization, softmax
  float factor = 1;           ///< attention softmax: scores are multiplied by it
};

/// Regions, written as single nodes or as many, in the order of the graph; no node is in two.
/// Run `optimize` first: constants must be constants, duplicates merged. Needs types for ranks
/// only.
std::vector<Region> find_regions(const Graph& graph);

}  // namespace lapidary
