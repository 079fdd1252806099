#include "prune/repair/channel_norms.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "calibrate/feeder.h"
#include "calibrate/moments.h"
#include "src/data/batches.h"
#include "src/ir/builder.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"

namespace lapidary::prune {

namespace {

constexpr float kEpsilon = 1e-5f;
/// Channels that are nearly constant in the pruned model are not blown up.
constexpr float kMostScale = 10;

bool is_layer(const Graph& graph, NodeId id) {
  if (is_op(graph, id, "Gemm"))
    return float_attr(graph, id, "alpha", 1) == 1 && float_attr(graph, id, "beta", 1) == 1 &&
           int_attr(graph, id, "transA", 0) == 0;
  return is_op(graph, id, "Conv");
}

/// A float32 constant that only this node reads.
bool owns(const Graph& graph, NodeId id, size_t slot) {
  const ValueId v = input_of(graph, id, slot);
  return v && graph.constant(v) != nullptr && graph.constant(v)->dtype() == DType::kF32 &&
         graph.use_count(v) == 1;
}

bool wants_norm(const Graph& graph, NodeId id) {
  if (!is_layer(graph, id) || !owns(graph, id, 1) || !owns(graph, id, 2) ||
      makes_graph_output(graph, id) || graph.constant(input_of(graph, id, 2))->rank() != 1)
    return false;
  const NodeId reader = only_user(graph, output_of(graph, id));
  return !reader || !is_op(graph, reader, "BatchNormalization");
}

NodeId find_node(const Graph& graph, const std::string& key) {
  for (NodeId id : graph.nodes())
    if (node_key(graph, id) == key) return id;
  return {};
}

/// Elements of the weight in order: f(element, output channel).
template <class F>
void each_weight(Graph& graph, NodeId layer, F&& f) {
  const ResolvedOp op = require_op(graph, layer);
  Tensor& w = *graph.mutable_value(graph.node(layer).inputs[1]).constant;
  const auto axis = static_cast<size_t>(
      op.def->weight.channel_axis(AttrView(graph.node(layer), op.version), w.rank()));
  const Shape shape = w.shape();
  const int64_t inner = element_count(std::span(shape).subspan(axis + 1));
  const auto elements = w.mutable_data<float>();
  for (size_t i = 0; i < elements.size(); ++i)
    f(elements[i], static_cast<size_t>(static_cast<int64_t>(i) / inner % shape[axis]));
}

}  // namespace

std::vector<ChannelNorm> add_channel_norms(Graph& graph, const Dataset& data,
                                           const RepairOptions& options) {
  std::vector<NodeId> layers;
  for (NodeId id : graph.nodes())
    if (wants_norm(graph, id)) layers.push_back(id);
  if (layers.empty()) return {};
  Graph part = graph;
  std::vector<ValueId> values;
  for (NodeId id : layers) values.push_back(output_of(graph, id));
  part.set_outputs(values);
  run_passes(part, {"remove_dead_code"});
  const Feeder feeder(part, data);
  const int64_t batch = suitable_batch(part, data);
  Executor executor(std::move(part), {.threads = options.threads});
  std::vector<Moments> moments(layers.size());
  const int64_t end = options.samples > 0 ? std::min(options.samples, data.size()) : data.size();
  for_batches(data, 0, end, batch, [&](const Batch& some, int64_t) {
    const auto made = executor.run(feeder.inputs(some));
    for (size_t i = 0; i < layers.size(); ++i)
      moments[i].see(made.at(graph.value(values[i]).name), feeder.rows(some), options.threads);
  });

  std::vector<ChannelNorm> norms;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Shape channels = graph.constant(graph.node(layers[i]).inputs[2])->shape();
    const Tensor mean = moments[i].mean(channels), variance = moments[i].variance(channels);
    Tensor gain = variance;
    for (float& v : gain.mutable_data<float>()) v = std::sqrt(v + kEpsilon);
    const std::string key = node_key(graph, layers[i]);
    const std::string name = graph.unique_node_name(key + "_channels");
    GraphBuilder b(graph, graph.next(layers[i]));
    const std::vector<Use> uses = graph.value(values[i]).uses;
    const ValueId out =
        b.op("BatchNormalization",
             {values[i], b.constant(name + "_gain", gain), b.constant(name + "_shift", mean),
              b.constant(name + "_mean", mean), b.constant(name + "_variance", variance)},
             {{"epsilon", kEpsilon}}, name);
    graph.mutable_value(out).type = graph.value(values[i]).type;
    for (const Use& use : uses)
      if (!use.capture) graph.set_input(use.node, use.slot, out);
    norms.push_back({key, name});
  }
  return norms;
}

int64_t fold_channel_norms(Graph& graph, const std::vector<ChannelNorm>& norms) {
  for (const ChannelNorm& norm : norms) {
    const NodeId layer = find_node(graph, norm.layer), id = find_node(graph, norm.norm);
    const Node& node = graph.node(id);
    const auto numbers = [&](size_t slot) { return *constant_floats(graph, node.inputs[slot]); };
    const std::vector<float> gain = numbers(1), shift = numbers(2), mean = numbers(3),
                             variance = numbers(4);
    // y' = s y + t
    std::vector<float> s(gain.size()), t(gain.size());
    for (size_t c = 0; c < s.size(); ++c) {
      s[c] = std::min(kMostScale, gain[c] / std::sqrt(variance[c] + kEpsilon));
      t[c] = shift[c] - s[c] * mean[c];
    }
    each_weight(graph, layer, [&](float& w, size_t channel) { w *= s[channel]; });
    const auto bias =
        graph.mutable_value(graph.node(layer).inputs[2]).constant->mutable_data<float>();
    for (size_t c = 0; c < s.size(); ++c) bias[c] = s[c] * bias[c] + t[c];
    bypass(graph, id, graph.node(layer).outputs[0]);
  }
  return std::ssize(norms);
}

}  // namespace lapidary::prune
