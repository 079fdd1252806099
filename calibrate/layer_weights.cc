#include "calibrate/layer_weights.h"

#include <algorithm>
#include <map>
#include <optional>

#include "src/base/fail.h"
#include "src/ir/patterns.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"

namespace lapidary {

namespace {

int64_t product(std::span<const int64_t> sizes) { return element_count(sizes); }

/// w [O, I/G, kernel...]
WeightMatrix conv_matrix(const Shape& w, int64_t group) {
  WeightMatrix m{.groups = group, .rows = w[0] / group, .channels = w[1]};
  m.taps = product(std::span(w).subspan(2));
  m.tap_stride = 1;
  m.channel_stride = m.taps;
  m.row_stride = m.channels * m.taps;
  m.group_stride = m.rows * m.row_stride;
  return m;
}

/// w [I, O/G, kernel...]
WeightMatrix transposed_conv_matrix(const Shape& w, int64_t group) {
  WeightMatrix m{.groups = group, .rows = w[1], .channels = w[0] / group};
  m.taps = product(std::span(w).subspan(2));
  m.tap_stride = 1;
  m.row_stride = m.taps;
  m.channel_stride = m.rows * m.taps;
  m.group_stride = m.channels * m.channel_stride;
  return m;
}

/// w [..., K, N], or [N, K] where `rows_first`.
WeightMatrix product_matrix(const Shape& w, bool rows_first) {
  const int64_t k = w[w.size() - (rows_first ? 1 : 2)], n = w[w.size() - (rows_first ? 2 : 1)];
  WeightMatrix m{.groups = product(std::span(w).first(w.size() - 2)), .rows = n, .channels = k};
  m.row_stride = rows_first ? k : 1;
  m.channel_stride = rows_first ? 1 : n;
  m.group_stride = k * n;
  return m;
}

/// Absent for other ops, and shapes that do not fit them.
std::optional<WeightMatrix> matrix_of(const Graph& graph, NodeId id, const Shape& w) {
  const Node& node = graph.node(id);
  if (product(w) == 0) return std::nullopt;
  const int64_t group = int_attr(graph, id, "group", 1);
  const bool convolves = node.op.ends_with("Conv") || node.op == "ConvInteger";
  if ((convolves || node.op == "ConvTranspose") && w.size() >= 3 && group > 0)
    return convolves ? w[0] % group != 0 ? std::nullopt : std::optional(conv_matrix(w, group))
           : w[0] % group != 0 ? std::nullopt
                               : std::optional(transposed_conv_matrix(w, group));
  if (convolves || node.op == "ConvTranspose" || w.size() < 2) return std::nullopt;
  return product_matrix(w, int_attr(graph, id, "transB", 0) != 0);
}

/// The constant behind a weight input.
ValueId stored_weight(const Graph& graph, ValueId id) {
  while (id.valid() && !graph.constant(id)) {
    const NodeId producer = graph.value(id).producer;
    if (!producer.valid()) return {};
    const Node& node = graph.node(producer);
    if (!node.is("DequantizeLinear") && !node.is("Cast")) return trained_constant(graph, id);
    id = node.inputs[0];
  }
  return id;
}

}  // namespace

std::vector<LayerWeights> layer_weights(const Graph& graph) {
  std::vector<LayerWeights> out;
  std::map<ValueId, size_t> known;
  std::map<ValueId, bool> differs;
  for (const NodeId id : graph.nodes()) {
    const ResolvedOp op = resolve_op(graph, id);
    if (!op || op.def->weight.input < 0 || op.def->macs == nullptr) continue;
    const ValueId weight =
        stored_weight(graph, input_of(graph, id, static_cast<size_t>(op.def->weight.input)));
    if (!weight.valid()) continue;
    const auto matrix = matrix_of(graph, id, graph.constant(weight)->shape());
    if (!matrix) continue;
    const auto [at, added] = known.emplace(weight, out.size());
    if (added)
      out.push_back({weight, {id}, *matrix});
    else if (out[at->second].matrix == *matrix)
      out[at->second].readers.push_back(id);
    else
      differs[weight] = true;
  }
  std::erase_if(out, [&](const LayerWeights& layer) { return differs.contains(layer.constant); });
  return out;
}

std::vector<LayerWeights> float_weights(const Graph& graph, const std::vector<std::string>& include,
                                        const std::vector<std::string>& exclude) {
  const NodeSet wanted = match_nodes(graph, include), unwanted = match_nodes(graph, exclude);
  const auto reads = [](const LayerWeights& layer, const NodeSet& nodes) {
    return std::any_of(layer.readers.begin(), layer.readers.end(),
                       [&](NodeId id) { return nodes.contains(id.index); });
  };
  std::vector<LayerWeights> out = layer_weights(graph);
  std::erase_if(out, [&](const LayerWeights& layer) {
    return graph.constant(layer.constant)->dtype() != DType::kF32 ||
           (!include.empty() && !reads(layer, wanted)) || reads(layer, unwanted);
  });
  if (out.empty())
    fail_usage("no layer (Conv, ConvTranspose, Gemm, MatMul) has float32 weights of its own{}",
               include.empty() && exclude.empty() ? "" : " among those that the patterns leave");
  return out;
}

}  // namespace lapidary
