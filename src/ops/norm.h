#pragma once

#include "src/ops/elements.h"

namespace lapidary {

/// Throws Error{kInvalid} unless `input` is absent or has rank 1 and `channels` elements.
void check_per_channel(const InferContext& context, size_t input, const Dim& channels);
/// Size of axis 1; checks that the input has rank `min_rank` or more. Unknown where the rank is.
Dim channels_of(const InferContext& context, int64_t min_rank);

/// Mean of `count` elements and the mean of their squared distances to it, in float64.
struct Moments {
  double mean = 0, variance = 0;
};
Moments moments(std::span<const double> values);

}  // namespace lapidary
