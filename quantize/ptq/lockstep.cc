#include "quantize/ptq/lockstep.h"

#include <algorithm>
#include <set>

#include "lapidary/exec.h"
#include "quantize/ptq/subgraph.h"
#include "src/base/fail.h"
#include "src/data/batches.h"

namespace lapidary {

Lockstep::Lockstep(QdqGraph& qdq, const Dataset& data, int threads)
    : qdq_(qdq), data_(data), threads_(threads), sizes_(qdq.graph, data) {
  plan();
}

/// DequantizeLinear is copied to wherever it is needed: the frontier holds integers.
bool Lockstep::free_node(NodeId id) const { return qdq_.graph.node(id).is("DequantizeLinear"); }

/// first[n] = min(layers whose input n makes, first of the nodes that read n): the segment that has
/// to run n. A reverse sweep suffices, since readers come later in topological order.
std::unordered_map<uint32_t, size_t> Lockstep::first_segments(
    const std::vector<NodeId>& order) const {
  const Graph& graph = qdq_.graph;
  std::unordered_map<uint32_t, size_t> first;
  const auto lower = [&](NodeId node, size_t segment) {
    const auto [at, added] = first.emplace(node.index, segment);
    if (!added) at->second = std::min(at->second, segment);
  };
  for (size_t i = 0; i < qdq_.layers.size(); ++i)
    if (const NodeId made = graph.value(qdq_.layers[i].input).producer; made.valid())
      lower(made, i);
  for (auto node = order.rbegin(); node != order.rend(); ++node)
    for (const ValueId output : graph.node(*node).outputs) {
      if (!output.valid()) continue;
      for (const Use& use : graph.value(output).uses)
        if (const auto reader = first.find(use.node.index); reader != first.end())
          lower(*node, reader->second);
    }
  return first;
}

void Lockstep::plan() {
  const Graph& graph = qdq_.graph;
  const std::vector<NodeId> order = graph.nodes();
  const auto first = first_segments(order);
  segments_.resize(qdq_.layers.size());
  released_.resize(segments_.size());
  // Segment from which on a value is not needed: its last reader's, or the one behind its layer's.
  std::map<ValueId, size_t> end;
  for (size_t i = 0; i < qdq_.layers.size(); ++i) end[qdq_.layers[i].input] = i + 1;
  const auto read = [&](ValueId id, size_t segment) {
    if (!id.valid() || graph.value(id).constant) return;
    const NodeId producer = graph.value(id).producer;
    if (producer.valid() && (free_node(producer) || first.at(producer.index) == segment)) return;
    segments_[segment].inputs.push_back(id);
    size_t& last = end[id];
    last = std::max(last, segment);
  };
  const auto add = [&](NodeId id, size_t segment) {
    segments_[segment].nodes.push_back(id);
    for (const ValueId input : graph.node(id).inputs) read(input, segment);
    for (const Capture& capture : graph.node(id).captures) read(capture.outer, segment);
  };
  for (const NodeId id : order) {
    const auto at = first.find(id.index);
    if (at == first.end()) continue;
    if (!free_node(id)) {
      add(id, at->second);
      continue;
    }
    std::set<size_t> readers;
    for (const Use& use : graph.value(graph.node(id).outputs[0]).uses)
      if (const auto reader = first.find(use.node.index); reader != first.end())
        readers.insert(reader->second);
    for (const size_t segment : readers) add(id, segment);
  }
  for (Segment& segment : segments_) {
    std::sort(segment.inputs.begin(), segment.inputs.end());
    segment.inputs.erase(std::unique(segment.inputs.begin(), segment.inputs.end()),
                         segment.inputs.end());
  }
  hold(first, end);
}

/// What goes from segment to segment: made in one, read in a later one.
void Lockstep::hold(const std::unordered_map<uint32_t, size_t>& first,
                    const std::map<ValueId, size_t>& end) {
  for (const auto& [id, last] : end) {
    const NodeId producer = qdq_.graph.value(id).producer;
    const size_t made = producer.valid() ? first.at(producer.index) : 0;
    if (last <= made) continue;
    (producer.valid() ? segments_[made].outputs : held_inputs_).push_back(id);
    if (last < released_.size()) released_[last].push_back(id);
  }
}

int64_t Lockstep::fitting_samples(double bytes, int64_t samples) const {
  std::unordered_set<uint32_t> live;
  double now = 0, peak = 1;
  for (const ValueId id : held_inputs_)
    if (live.insert(id.index).second) now += sizes_.bytes(id);
  for (size_t i = 0; i < segments_.size(); ++i) {
    for (const ValueId id : released_[i])  // freed batch by batch as the segment runs
      if (live.erase(id.index)) now -= sizes_.bytes(id);
    for (const ValueId id : segments_[i].outputs)
      if (live.insert(id.index).second) now += sizes_.bytes(id);
    peak = std::max(peak, now);
  }
  const int64_t batch = std::max<int64_t>(Feeder(qdq_.graph, data_).fixed_batch(), 1);
  const int64_t batches = std::max<int64_t>(static_cast<int64_t>(bytes / peak) / batch, 1);
  return batches > samples / batch ? samples : batches * batch;
}

Graph Lockstep::part(const Segment& segment) const {
  const Graph& graph = qdq_.graph;
  std::unordered_set<uint32_t> present;
  for (const NodeId id : segment.nodes) present.insert(id.index);
  std::vector<NodeId> nodes;
  for (const NodeId id : segment.nodes) {
    for (const ValueId input : graph.node(id).inputs) {
      const NodeId producer = input.valid() ? graph.value(input).producer : NodeId{};
      if (producer.valid() && free_node(producer) &&
          graph.constant(graph.node(producer).inputs[0]) && present.insert(producer.index).second)
        nodes.push_back(producer);
    }
    nodes.push_back(id);
  }
  return extract_subgraph(graph, nodes, segment.inputs, segment.outputs);
}

void Lockstep::load(int64_t samples, const Segment& first) {
  const Graph& graph = qdq_.graph;
  const Feeder feeder(graph, data_);
  const int64_t batch = suitable_batch(graph, data_);
  Executor executor(part(first), {.threads = threads_});
  for_batches(data_, 0, samples, batch, [&](const Batch& held, int64_t) {
    const auto fed = feeder.inputs(held);
    Executor::Values inputs;
    for (const ValueId id : first.inputs)
      inputs[graph.value(id).name] = fed.at(graph.value(id).name);
    auto made = executor.run(inputs);
    for (const ValueId id : first.outputs)
      frontier_[id].push_back(std::move(made.at(graph.value(id).name)));
    for (const ValueId id : held_inputs_) frontier_[id].push_back(fed.at(graph.value(id).name));
    rows_.push_back(feeder.rows(held));
  });
  if (rows_.empty()) fail_usage("no sample could be held for bias correction");
}

void Lockstep::execute(const Segment& segment, const std::vector<ValueId>& released) {
  const Graph& graph = qdq_.graph;
  Executor executor(part(segment), {.threads = threads_});
  for (size_t b = 0; b < rows_.size(); ++b) {
    Executor::Values inputs;
    for (const ValueId id : segment.inputs) inputs[graph.value(id).name] = frontier_.at(id)[b];
    auto made = executor.run(inputs);
    for (const ValueId id : released) frontier_.at(id)[b] = Tensor();
    for (const ValueId id : segment.outputs)
      frontier_[id].push_back(std::move(made.at(graph.value(id).name)));
  }
}

void Lockstep::run(int64_t samples, const std::function<void(QdqLayer&, const Batches&)>& visit) {
  for (size_t i = 0; i < segments_.size(); ++i) {
    if (i == 0)
      load(samples, segments_[0]);
    else if (!segments_[i].nodes.empty())
      execute(segments_[i], released_[i]);
    for (const ValueId id : released_[i]) frontier_.erase(id);
    int64_t bytes = 0;
    for (const auto& [id, batches] : frontier_)
      for (const Tensor& tensor : batches) bytes += static_cast<int64_t>(tensor.size_bytes());
    peak_bytes_ = std::max(peak_bytes_, bytes);
    QdqLayer& layer = qdq_.layers[i];
    visit(layer, {frontier_.at(layer.input), rows_});
  }
}

}  // namespace lapidary
