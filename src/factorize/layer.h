#pragma once

#include <optional>
#include <string>
#include <vector>

#include "calibrate/layer_weights.h"
#include "lapidary/factorize.h"
#include "src/factorize/matrix.h"
#include "src/ops/window.h"

namespace lapidary::lowrank {

/// A node with constant weights.
struct Layer {
  NodeId node;
  LayerWeights weights;
  WindowAttrs window = {};  ///< of Conv: kernel, strides, dilations, pads
  /// Products of one weight: positions of the output; of Conv the input's and output's sizes along
  /// each spatial axis, times `batch`. Sizes that are not known count as 1.
  int64_t positions = 1, batch = 1;
  std::vector<int64_t> in = {}, out = {};
  std::string reason = {};  ///< why it has to stay as it is; empty: it need not

  int64_t rows() const { return weights.matrix.rows; }          ///< O, output channels
  int64_t channels() const { return weights.matrix.channels; }  ///< I, input channels
  int64_t taps() const { return weights.matrix.taps; }          ///< of the kernel
  int64_t macs() const { return positions * weights.matrix.elements(); }
  int64_t input_positions() const;
  bool is_conv() const { return !window.kernel.empty(); }
};

/// All nodes with constant weights of their own, in graph order; `keep`: node patterns. Throws
/// Error{kUsage} for patterns that match nothing.
std::vector<Layer> find_layers(const Graph& graph, const std::vector<std::string>& keep);

/// W [O, taps I], the input channels innermost. Throws Error{kInvalid} where it is not finite.
Matrix weights_of(const Graph& graph, const Layer& layer);

/// A node that stands for a part of a layer, with `weight` [rows, taps I] in the same order.
struct Factor {
  Matrix weight;
  int64_t channels = 1;     ///< I
  WindowAttrs window = {};  ///< of Conv
  int64_t positions = 1;    ///< products of one weight
  int64_t macs() const { return positions * weight.size(); }
};

/// A window of one tap, which reads every position once.
WindowAttrs no_window(size_t rank);

/// The layer's node becomes the last of `factors`, the others come before it.
void replace_layer(Graph& graph, const Layer& layer, const std::vector<Factor>& factors);

/// The layer's node with its weights, its input the graph's.
struct LayerAlone {
  Graph graph;
  Layer layer;  ///< there
};
/// Throws Error{kUnsupported} where sizes of the input are not known, the first one excepted, which
/// becomes 1.
LayerAlone layer_alone(const Graph& graph, const Layer& layer);

/// Of the whole graph.
FactorizeCost graph_cost(const Graph& graph);

}  // namespace lapidary::lowrank
