#pragma once

#include <string>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// What became of one node that computes: lowered, or float and why. Nodes that are no concern of
/// quantization (shape arithmetic, nodes without any quantized neighbour) are listed too when they
/// read or make floating tensors.
struct LoweringNote {
  std::string node;  ///< its key before lowering
  std::string op;
  std::string lowered_to;  ///< "QLinearConv", "Reshape on uint8"; empty: stays float
  std::string reason;      ///< why it stays float, or what to know about the lowered form
};

struct LoweringReport {
  std::vector<LoweringNote> notes;  ///< in the order of the nodes
  int64_t lowered = 0;
  /// The note of that node or null.
  const LoweringNote* find(std::string_view node) const;
};

struct LoweringOptions {
  /// int8 activations with int8 weights become integer kernels, as on a CPU whose kernels multiply
  /// signed bytes. ONNX Runtime on x86-64 turns such tensors into uint8 where it can and leaves
  /// float what then mixes types; the integers of what both lower are the same.
  bool int8_activations = true;
};

/// Turns DequantizeLinear -> op -> QuantizeLinear into integer ops: QLinearConv, QLinearMatMul,
/// com.microsoft MatMulIntegerToFloat, QGemm, QLinearAdd, ..., movers on the integers themselves.
/// What is selected is what ONNX Runtime's CPU provider selects, so that the integers are the same.
/// Needs inferred types for MatMul + Add (other rewrites do without). The graph keeps its meaning
/// up to the arithmetic of those ops, its inputs, its outputs and their names.
LoweringReport lower_qdq(Graph& graph, const LoweringOptions& options = {});

}  // namespace lapidary
