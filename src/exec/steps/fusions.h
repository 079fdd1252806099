#pragma once

#include "src/exec/fusion.h"
#include "src/exec/steps/quant.h"
#include "src/passes/regions.h"

namespace lapidary::exec {

/// A region's nodes as one step; none where its kind, types or axes do not allow it.
std::optional<Fusion> normalization_fusion(const PlanBuilder& b, const Region& region);
std::optional<Fusion> activation_fusion(const PlanBuilder& b, const Region& region);
/// Softmax with the factor and the mask before it, and the two products around it.
std::optional<Fusion> attention_fusion(const PlanBuilder& b, const Region& region);

/// What stands around float nodes where their input or output is a tensor of bytes.
struct QuantizedEnds {
  NodeId dequantize, quantize;  ///< or none
  ValueId input, output;        ///< of the nodes with those ends
  ByteParams x, y;              ///< of the ends there are
};
/// A DequantizeLinear that only `nodes` read as their input `x`, and a QuantizeLinear that alone
/// reads their output `y`; both of one scale.
QuantizedEnds quantized_ends(const PlanBuilder& b, const std::vector<NodeId>& nodes, ValueId x,
                             ValueId y);
/// The nodes with their ends, in the order of the graph.
std::vector<NodeId> with_ends(const std::vector<NodeId>& nodes, const QuantizedEnds& ends);

}  // namespace lapidary::exec
