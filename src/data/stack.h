#pragma once

#include <vector>

#include "lapidary/data.h"

namespace lapidary {

/// True where the two may be rows of one batch: inputs of the same types and shapes.
bool stacks(const Sample& a, const Sample& b);
/// One batch of all, in order; empty: of none. Throws Error{kInvalid} naming the two samples that
/// do not stack.
Batch stack(const std::vector<Sample>& samples);
/// Row `row` of a batch becomes share times itself and 1 - share times `other`. Throws
/// Error{kUsage} for inputs that are not float32, Error{kInvalid} for another shape.
void mix_inputs(Batch& batch, size_t row, const Sample& other, float share);

}  // namespace lapidary
