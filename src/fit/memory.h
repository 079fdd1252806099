#pragma once

#include <cstdint>

#include "lapidary/train.h"

namespace lapidary {

/// Bytes that training a graph takes at its height beyond what the process has before it, counted
/// by the graph alone: weights, gradients, the optimizer's memory, the average of weights, the
/// batch, what backward reads of its activations, and the gradients of the largest two of those
/// with a copy of one. Not counted: buffers inside of libtorch's kernels. `batch`: samples of one
/// process; sizes that are not known count as 1.
int64_t training_memory(const Graph& graph, const TrainerOptions& options, int64_t batch);

}  // namespace lapidary
