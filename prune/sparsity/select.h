#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "calibrate/layer_weights.h"
#include "lapidary/sparsify.h"

namespace lapidary {

/// A tensor whose elements have scores, in the order of for_each_element.
struct ScoredWeights {
  WeightMatrix matrix;
  std::vector<float> scores;
  std::vector<uint8_t> masked = {};  ///< 1: dropped before everything else; empty: none is
};

/// What is dropped of each tensor (1; in the same order): the elements, groups or blocks of least
/// score, equal ones in order, so that round(ratio elements) go; blocks, whose score is the mean of
/// their elements, as many as fit that, and of each m elements of n:m floor(ratio m). `global`: of
/// all tensors together. What is masked is dropped whatever the ratio says.
std::vector<std::vector<uint8_t>> select_least(std::span<const ScoredWeights> tensors,
                                               const SparsePattern& pattern, double ratio,
                                               bool global);

/// Of `m` elements of n:m: how many go.
int64_t dropped_of(int64_t m, double ratio);

}  // namespace lapidary
