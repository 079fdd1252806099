#pragma once

#include <string>

#include "src/exec/planner.h"

namespace lapidary::exec {

/// A step that brings a value into another layout, or (in the same layout) between s8 and biased
/// u8.
StepSpec conversion_step(const Operand& from, const Operand& to, const std::string& value);

/// [N,C,...] as [N,...,C]: the elements move, the shape stays as it is.
Tensor to_channels_last(const Tensor& tensor);

/// y[i] = x[i] ^ 0x80: s8 to biased u8 and back. May be in place.
void flip_bias(const uint8_t* x, uint8_t* y, int64_t count);

}  // namespace lapidary::exec
