#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lapidary/graph.h"
#include "quantize/placement.h"

namespace lapidary {

/// An integer layer as it stands in a QDQ graph.
struct QdqLayer {
  std::string key;
  NodeId node, bias_node;
  int64_t weight_axis = 0;
  ValueId input;  ///< what DequantizeLinear reads: integers
  QuantParams input_params;
  ValueId weight;  ///< the stored integers
  QuantParams weight_params;
  ValueId bias;         ///< the constant: int32, or float where the target keeps it so; may be none
  ValueId made;         ///< float result of node or bias_node, before any Q
  Tensor float_weight;  ///< as they were
  Tensor float_bias;    ///< empty where the layer had none
};

struct QdqGraph {
  Graph graph;
  std::vector<QdqLayer> layers;  ///< in graph order
};

/// Bits that its levels take.
int bits_of(const QuantParams& params);
/// Adds weights and int32 biases, and the layers' bits, to the log; `calibrator`: of the weights.
void log_layers(const QdqGraph& qdq, const std::string& calibrator, QuantizeLog& log);

/// Turns QuantParams on values into nodes, once: one Q -> DQ pair per activation, shared by its
/// readers (a graph output becomes x -> Q -> DQ -> its name); weights stored as integers behind DQ,
/// biases as int32 with scale s_x * s_w (or float, by the target); absorbed clamps removed. Fewer
/// levels than a byte has are a Clip of the integers between Q and DQ. The graph must import opset
/// 13 or later.
QdqGraph insert_qdq(Graph graph, const Placement& placement, const TargetRecord& target);

/// Stores a bias, made if need be. How many of its channels int32 could not hold, so that they were
/// clamped; none where the layer has no place for a bias (a MatMul without Add).
std::optional<int64_t> set_layer_bias(Graph& graph, QdqLayer& layer,
                                      const std::vector<double>& bias, bool integer_bias);

}  // namespace lapidary
