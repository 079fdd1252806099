#pragma once

#include <vector>

#include "lapidary/graph.h"
#include "src/passes/lower_qdq.h"

namespace lapidary {

// Rewrites of a QDQ graph before integer ops are selected, in this order. Each says how many places
// it changed; what a node was absorbed into goes to `notes`.

/// Removes what ONNX Runtime removes before it looks for double pairs: Identity, Dropout, Cast to
/// the same type, Expand to the known shape, Slice of [0, INT64_MAX) and Add, Sub, Mul or Div with
/// one neutral element. Other nodes that change nothing keep two pairs apart, which then round
/// twice.
int64_t remove_noops_before_merging(Graph& graph);
/// QuantizeLinear of a constant becomes the constant.
int64_t fold_quantized_constants(Graph& graph);
/// Constants of 2 and 4 bits behind DequantizeLinear become int8 or uint8, which kernels read.
int64_t widen_constants(Graph& graph);
/// Q1 -> DQ1 -> Q2 -> DQ2 becomes Q -> DQ over the range that both leave.
int64_t merge_double_pairs(Graph& graph);
/// MatMul + Add(bias) of dequantized factors becomes Gemm, behind Reshapes where the left factor
/// has more than two axes, all known.
int64_t matmul_add_to_gemm(Graph& graph, std::vector<LoweringNote>& notes);
/// DQ moves forward and Q backward through data movers, so that what stands behind or before them
/// meets its Q/DQ.
int64_t propagate_pairs(Graph& graph);
/// Float bias and weight of a Conv, ConvTranspose or Gemm between DQ and Q become int32 and int8.
int64_t quantize_parameters(Graph& graph);
/// Relu and Clip before Q go where saturation does the same.
int64_t drop_redundant_clamps(Graph& graph, std::vector<LoweringNote>& notes);

/// After selection: DQ -> Q with equal parameters is nothing.
int64_t drop_inverse_pairs(Graph& graph);

}  // namespace lapidary
