#include "quantize/ptq/lockstep.h"

#include <algorithm>

#include "calibrate/run.h"
#include "lapidary/exec.h"
#include "quantize/ptq/subgraph.h"
#include "src/base/fail.h"

namespace lapidary {

namespace {

constexpr double kBatchBytes = 8 << 20;
constexpr int64_t kMaxBatch = 32;

}  // namespace

Lockstep::Lockstep(QdqGraph& qdq, const Dataset& data, int threads)
    : qdq_(qdq), data_(data), threads_(threads) {
  plan();
}

/// DequantizeLinear is copied to wherever it is needed: the frontier holds integers.
bool Lockstep::free_node(NodeId id) const { return qdq_.graph.node(id).is("DequantizeLinear"); }

/// Adds to the segment what `id` needs and is not ready; what is ready becomes an input.
void Lockstep::gather(ValueId id, Segment& segment,
                      const std::unordered_set<uint32_t>& ready) const {
  const Graph& graph = qdq_.graph;
  if (!id.valid() || graph.constant(id)) return;
  const NodeId producer = graph.value(id).producer;
  if (ready.contains(id.index) || !producer.valid()) {
    if (std::find(segment.inputs.begin(), segment.inputs.end(), id) == segment.inputs.end())
      segment.inputs.push_back(id);
    return;
  }
  if (!segment.nodes.insert(producer.index).second) return;
  for (const ValueId input : graph.node(producer).inputs) gather(input, segment, ready);
  for (const Capture& capture : graph.node(producer).captures)
    gather(capture.outer, segment, ready);
}

bool Lockstep::needed_later(ValueId id, const std::unordered_set<uint32_t>& done) const {
  const Graph& graph = qdq_.graph;
  for (const Use& use : graph.value(id).uses) {
    if (!needed_.contains(use.node.index)) continue;
    if (!free_node(use.node)) {
      if (!done.contains(use.node.index)) return true;
    } else if (needed_later(graph.node(use.node).outputs[0], done)) {
      return true;
    }
  }
  return false;
}

void Lockstep::plan() {
  const Graph& graph = qdq_.graph;
  Segment all;
  for (const QdqLayer& layer : qdq_.layers) gather(layer.input, all, {});
  needed_ = all.nodes;
  std::unordered_set<uint32_t> ready, done;
  for (size_t i = 0; i < qdq_.layers.size(); ++i) {
    Segment segment;
    const ValueId wanted = qdq_.layers[i].input;
    if (!ready.contains(wanted.index)) gather(wanted, segment, ready);
    for (const uint32_t node : segment.nodes) done.insert(node);
    for (const NodeId id : graph.nodes()) {
      if (!segment.nodes.contains(id.index) || free_node(id)) continue;
      for (const ValueId output : graph.node(id).outputs)
        if (output.valid() && (output == wanted || needed_later(output, done))) {
          segment.outputs.push_back(output);
          ready.insert(output.index);
        }
    }
    for (const ValueId input : segment.inputs) ready.insert(input.index);
    segments_.push_back(std::move(segment));
    std::vector<ValueId> released;
    for (const uint32_t index : std::vector<uint32_t>(ready.begin(), ready.end())) {
      const ValueId id{index};
      const bool later_layer =
          std::any_of(qdq_.layers.begin() + static_cast<int64_t>(i) + 1, qdq_.layers.end(),
                      [&](const QdqLayer& layer) { return layer.input == id; });
      if (id == wanted || later_layer || needed_later(id, done)) continue;
      ready.erase(index);
      released.push_back(id);
    }
    std::sort(released.begin(), released.end());
    released_.push_back(std::move(released));
  }
}

double Lockstep::sample_bytes(ValueId id) const {
  const TensorType& type = qdq_.graph.value(id).type;
  double bytes = static_cast<double>(std::max<size_t>(dtype_size(type.dtype), 1));
  if (type.shape)
    for (size_t i = 1; i < type.shape->size(); ++i)
      bytes *= static_cast<double>(std::max<int64_t>((*type.shape)[i].value, 1));
  return bytes;
}

int64_t Lockstep::fitting_samples(double bytes, int64_t samples) const {
  std::unordered_set<uint32_t> live;
  double now = 0, peak = 1;
  for (size_t i = 0; i < segments_.size(); ++i) {
    for (const ValueId id : released_[i])  // freed batch by batch as the segment runs
      if (live.erase(id.index)) now -= sample_bytes(id);
    for (const ValueId id : segments_[i].outputs)
      if (live.insert(id.index).second) now += sample_bytes(id);
    peak = std::max(peak, now);
  }
  return std::clamp<int64_t>(static_cast<int64_t>(bytes / peak), 1, samples);
}

Graph Lockstep::part(const Segment& segment) const {
  const Graph& graph = qdq_.graph;
  std::unordered_set<uint32_t> nodes = segment.nodes;
  for (const uint32_t index : segment.nodes)
    for (const ValueId input : graph.node(NodeId{index}).inputs) {
      const NodeId producer = input.valid() ? graph.value(input).producer : NodeId{};
      if (producer.valid() && free_node(producer) && graph.constant(graph.node(producer).inputs[0]))
        nodes.insert(producer.index);
    }
  return extract_subgraph(graph, nodes, segment.inputs, segment.outputs);
}

void Lockstep::load(int64_t samples, const Segment& first) {
  const Graph& graph = qdq_.graph;
  const Feeder feeder(graph, data_);
  double largest = 1;
  for (const ValueId id : graph.values())
    if (!graph.constant(id)) largest = std::max(largest, sample_bytes(id));
  const int64_t batch =
      feeder.fixed_batch() > 0
          ? feeder.fixed_batch()
          : std::clamp<int64_t>(static_cast<int64_t>(kBatchBytes / largest), 1, kMaxBatch);
  Executor executor(part(first), {.threads = threads_});
  for (int64_t begin = 0; begin < samples; begin += batch) {
    const Batch held = data_.batch(begin, std::min(batch, samples - begin));
    // A graph with a fixed batch takes whole batches only: padding would count as samples.
    if (held.size() == 0 || (feeder.fixed_batch() > 0 && held.size() < batch && begin > 0))
      continue;
    auto made = executor.run(feeder.inputs(held));
    for (const ValueId id : first.outputs)
      frontier_[id].push_back(std::move(made.at(graph.value(id).name)));
  }
  if (frontier_.empty() || frontier_.begin()->second.empty())
    fail_usage("no sample could be held for bias correction");
}

void Lockstep::execute(const Segment& segment, const std::vector<ValueId>& released) {
  const Graph& graph = qdq_.graph;
  Executor executor(part(segment), {.threads = threads_});
  const size_t batches = frontier_.begin()->second.size();
  for (size_t b = 0; b < batches; ++b) {
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
    visit(layer, frontier_.at(layer.input));
  }
}

}  // namespace lapidary
