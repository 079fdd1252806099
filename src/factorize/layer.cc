#include "src/factorize/layer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ir/patterns.h"
#include "src/passes/edit.h"

namespace lapidary::lowrank {

namespace {

int64_t size_or_one(const Dim& dim) { return dim.known() ? dim.value : 1; }

/// Empty where the rank is not known.
std::vector<int64_t> sizes_of(const Graph& graph, ValueId id) {
  std::vector<int64_t> out;
  if (const auto& shape = graph.value(id).type.shape)
    for (const Dim& dim : *shape) out.push_back(size_or_one(dim));
  return out;
}

int64_t product(std::span<const int64_t> sizes) {
  int64_t out = 1;
  for (const int64_t size : sizes) out *= size;
  return out;
}

/// Why no method takes the layer, apart from its sizes.
std::string refusal(const Graph& graph, NodeId id, const LayerWeights& weights) {
  const Node& node = graph.node(id);
  const Tensor& w = *graph.constant(weights.constant);
  if (!node.is("Conv") && !node.is("Gemm") && !node.is("MatMul"))
    return fmt::format("no method is for {}", node.op);
  if (w.dtype() != DType::kF32) return fmt::format("its weights are {}", dtype_name(w.dtype()));
  if (graph.use_count(weights.constant) > 1)
    return fmt::format("{} nodes read its weights", graph.use_count(weights.constant));
  if (node.inputs[1] != weights.constant) return "its weights are computed";
  if (weights.matrix.groups > 1)
    return fmt::format("it has {} groups of channels", weights.matrix.groups);
  const auto elements = w.data<float>();
  if (std::ranges::all_of(elements, [](float v) { return v == 0; })) return "its weights are zero";
  return {};
}

/// Sizes and window of a layer that is not refused.
void measure(const Graph& graph, Layer& layer) {
  const Node& node = graph.node(layer.node);
  const std::vector<int64_t> in = sizes_of(graph, node.inputs[0]);
  const std::vector<int64_t> out = sizes_of(graph, node.outputs[0]);
  if (!node.is("Conv")) {
    layer.positions = out.empty() ? 1 : product(std::span(out).first(out.size() - 1));
    return;
  }
  const Shape& w = graph.constant(layer.weights.constant)->shape();
  layer.window = read_window(AttrView(node, 0), {w.begin() + 2, w.end()});
  const size_t rank = layer.window.rank();
  const auto spatial = [&](const std::vector<int64_t>& sizes) {
    return sizes.size() == rank + 2 ? std::vector<int64_t>(sizes.begin() + 2, sizes.end())
                                    : std::vector<int64_t>(rank, 1);
  };
  layer.in = spatial(in);
  layer.out = spatial(out);
  layer.batch = out.empty() ? 1 : out[0];
  layer.positions = layer.batch * product(layer.out);
}

}  // namespace

int64_t Layer::input_positions() const { return is_conv() ? batch * product(in) : positions; }

WindowAttrs no_window(size_t rank) {
  return {.kernel = std::vector<int64_t>(rank, 1),
          .strides = std::vector<int64_t>(rank, 1),
          .dilations = std::vector<int64_t>(rank, 1),
          .pads = std::vector<int64_t>(2 * rank, 0)};
}

std::vector<Layer> find_layers(const Graph& graph, const std::vector<std::string>& keep) {
  const NodeSet kept = match_nodes(graph, keep);
  std::map<uint32_t, LayerWeights> by_node;
  for (const LayerWeights& weights : layer_weights(graph))
    for (const NodeId id : weights.readers) by_node.emplace(id.index, weights);
  std::vector<Layer> out;
  for (const NodeId id : graph.nodes()) {
    const auto found = by_node.find(id.index);
    if (found == by_node.end()) continue;
    Layer layer{.node = id, .weights = found->second};
    layer.reason = refusal(graph, id, layer.weights);
    if (layer.reason.empty() && kept.contains(id.index)) layer.reason = "kept by name";
    if (layer.reason.empty()) measure(graph, layer);
    out.push_back(std::move(layer));
  }
  return out;
}

Matrix weights_of(const Graph& graph, const Layer& layer) {
  const WeightMatrix& m = layer.weights.matrix;
  const auto elements = graph.constant(layer.weights.constant)->data<float>();
  Matrix w(m.rows, m.columns());
  for (int64_t row = 0; row < m.rows; ++row)
    for (int64_t tap = 0; tap < m.taps; ++tap)
      for (int64_t c = 0; c < m.channels; ++c)
        w(row, tap * m.channels + c) = elements[static_cast<size_t>(m.at(0, row, tap, c))];
  if (!w.allFinite())
    fail_invalid("{}: weights '{}' are not finite", node_label(graph, layer.node),
                 printable(graph.value(layer.weights.constant).name, 200));
  return w;
}

FactorizeCost graph_cost(const Graph& graph) {
  FactorizeCost cost;
  for (const ValueId id : graph.values())
    if (const auto& constant = graph.value(id).constant; constant && is_float(constant->dtype()))
      cost.parameters += constant->size();
  const auto types = [&](const std::vector<ValueId>& ids) {
    std::vector<TensorType> out;
    for (const ValueId id : ids) {
      TensorType& type = out.emplace_back(id ? graph.value(id).type : TensorType{});
      if (type.shape)
        for (Dim& dim : *type.shape) dim = size_or_one(dim);
    }
    return out;
  };
  for (const NodeId id : graph.nodes()) {
    const ResolvedOp op = resolve_op(graph, id);
    if (!op || op.def->macs == nullptr) continue;
    const Node& node = graph.node(id);
    const auto outputs = types(node.outputs);
    if (std::ranges::all_of(outputs, [](const TensorType& t) { return t.shape.has_value(); }))
      cost.macs += op.def->macs(AttrView(node, op.version), types(node.inputs), outputs);
  }
  return cost;
}

}  // namespace lapidary::lowrank
