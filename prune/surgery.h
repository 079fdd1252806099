#pragma once

#include "lapidary/prune.h"
#include "prune/kept.h"

namespace lapidary::prune {

/// A copy of the system's graph without the elements that are not kept: constants gathered,
/// attributes and shapes rewritten, types inferred anew. Throws Error{kUnsupported} where a shape
/// that is computed cannot be corrected in the graph's opset.
Graph cut(const Kept& kept, const InferredElements& known, KeptElements* kept_elements);

}  // namespace lapidary::prune
