#pragma once

#include "lapidary/graph.h"

namespace lapidary {

/// Stores constant int8 weights that one DequantizeLinear reads, all within [-8, 7], with a zero
/// point 0 of their own, as int4: half their bytes, the same values. The graph then imports at
/// least opset 21 (ONNX, DequantizeLinear-21). Returns how many.
int64_t store_int4_weights(Graph& graph);

}  // namespace lapidary
