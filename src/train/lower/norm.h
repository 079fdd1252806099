#pragma once

#include "src/train/lowering.h"

namespace lapidary::train {

/// The attribute that all normalizations have.
inline float epsilon(const LowerContext& c) { return c.attrs().get_float("epsilon", 1e-5f); }

}  // namespace lapidary::train
