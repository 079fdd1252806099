#pragma once

#include "lapidary/graph.h"
#include "quantize/placement.h"

namespace lapidary {

/// True where saturation at the integers' ends does what the Relu or Clip does, to less than a
/// step.
bool saturation_clamps(const Graph& graph, NodeId clamp, const QuantParams& params);

/// Takes those clamps back out of `placement.absorbed` for which the parameters that were chosen
/// (`annotate`d in `graph`) do not saturate at the clamp's bounds: the clamp stays, between two
/// pairs of the same parameters, and is listed as float.
void keep_clamps(Graph& graph, Placement& placement);

/// Takes a clamp out: what makes its input takes over name and type of what it made.
void absorb_clamp(Graph& graph, NodeId clamp);

}  // namespace lapidary
