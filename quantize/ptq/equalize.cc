#include "quantize/ptq/equalize.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "calibrate/run.h"
#include "calibrate/tensors.h"
#include "src/base/fail.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

constexpr double kMostFactor = 64;
constexpr double kWorthwhile = 1.05;

/// Constant float weights that one node alone reads.
const Tensor* own_constant(const Graph& graph, const Node& node, size_t slot) {
  if (slot >= node.inputs.size() || !node.inputs[slot].valid()) return nullptr;
  const Tensor* tensor = graph.constant(node.inputs[slot]);
  const bool alone = graph.value(node.inputs[slot]).uses.size() == 1;
  return tensor && tensor->dtype() == DType::kF32 && alone ? tensor : nullptr;
}

bool is_depthwise(const Graph& graph, NodeId id, int64_t channels) {
  const Node& node = graph.node(id);
  const Tensor* weight = node.is("Conv") ? own_constant(graph, node, 1) : nullptr;
  return weight && weight->dim(1) == 1 && AttrView(node, 0).get_int("group", 1) == channels;
}

/// A layer that makes `channels` outputs on axis 0 of its weight, with a bias of its own or none.
bool is_producer(const Graph& graph, NodeId id, int64_t channels) {
  const Node& node = graph.node(id);
  const Tensor* weight = node.is("Conv") ? own_constant(graph, node, 1) : nullptr;
  if (!weight || weight->dim(0) != channels) return false;
  const bool biased = node.inputs.size() > 2 && node.inputs[2].valid();
  return !biased || own_constant(graph, node, 2) != nullptr;
}

/// Where scaling passes through: the convolution behind an optional Relu, LeakyRelu or Clip(0,
/// limit).
struct Producer {
  NodeId layer;
  double limit = INFINITY;
};

std::optional<Producer> producer_of(const Graph& graph, ValueId id) {
  Producer out{graph.value(id).producer};
  if (!out.layer.valid() || graph.node(out.layer).is("Conv")) return out;
  const Node& activation = graph.node(out.layer);
  if (activation.is("Clip") && is_clamp(graph, out.layer)) {
    if (activation.inputs.size() < 3) return std::nullopt;
    const Tensor* low =
        activation.inputs[1].valid() ? graph.constant(activation.inputs[1]) : nullptr;
    const Tensor* high =
        activation.inputs[2].valid() ? graph.constant(activation.inputs[2]) : nullptr;
    if (!low || !high || low->data<float>()[0] != 0) return std::nullopt;
    out.limit = static_cast<double>(high->data<float>()[0]);
  } else if (!activation.is("Relu") && !activation.is("LeakyRelu")) {
    return std::nullopt;
  }
  if (only_user(graph, activation.inputs[0]) != out.layer) return std::nullopt;
  out.layer = graph.value(activation.inputs[0]).producer;
  return out;
}

/// s_c = range / reach of the channel, where it has any values.
std::vector<double> channel_factors(const TensorStats& stats, double limit) {
  std::vector<double> reach;
  for (size_t c = 0; c < stats.channel_low.size(); ++c)
    reach.push_back(std::max<double>(-stats.channel_low[c], stats.channel_high[c]));
  const double range = std::min(*std::max_element(reach.begin(), reach.end()), limit);
  for (double& r : reach) r = r > 0 ? std::clamp(range / r, 1.0, kMostFactor) : 1.0;
  return reach;
}

/// Multiplies slice c of a tensor's first axis by s[c].
void scale_slices(Graph& graph, ValueId id, const std::vector<double>& s) {
  const auto x = graph.mutable_value(id).constant->mutable_data<float>();
  const size_t each = x.size() / s.size();
  for (size_t i = 0; i < x.size(); ++i) x[i] *= static_cast<float>(s[i / each]);
}

/// Depthwise output o reads channel o / multiplier.
void divide_depthwise(Graph& graph, ValueId id, const std::vector<double>& s) {
  const Tensor& weight = *graph.constant(id);
  const auto multiplier = static_cast<size_t>(weight.dim(0)) / s.size();
  std::vector<double> inverse;
  for (size_t o = 0; o < static_cast<size_t>(weight.dim(0)); ++o)
    inverse.push_back(1 / s[o / multiplier]);
  scale_slices(graph, id, inverse);
}

void scale_stats(TensorStats& stats, const std::vector<double>& s) {
  for (size_t c = 0; c < s.size(); ++c) {
    stats.channel_low[c] *= static_cast<float>(s[c]);
    stats.channel_high[c] *= static_cast<float>(s[c]);
    FixedSum sum;
    sum.add(stats.channel_sums[c].value() * s[c]);
    stats.channel_sums[c] = sum;
  }
  stats.min = *std::min_element(stats.channel_low.begin(), stats.channel_low.end());
  stats.max = *std::max_element(stats.channel_high.begin(), stats.channel_high.end());
}

}  // namespace

ChannelFactors equalize_depthwise(Graph& graph, const Statistics::Impl& stats) {
  ChannelFactors done;
  for (const ValueId id : graph.values()) {
    const auto seen = stats.tensors.find(graph.value(id).name);
    if (seen == stats.tensors.end() || seen->second.channel_axis != 1 || graph.is_output(id))
      continue;
    const auto channels = static_cast<int64_t>(seen->second.channel_low.size());
    const auto producer = producer_of(graph, id);
    if (!producer || !producer->layer.valid() || !is_producer(graph, producer->layer, channels))
      continue;
    const std::vector<Use>& uses = graph.value(id).uses;
    const bool depthwise = std::all_of(uses.begin(), uses.end(), [&](const Use& use) {
      return !use.capture && use.slot == 0 && is_depthwise(graph, use.node, channels);
    });
    if (uses.empty() || !depthwise) continue;
    const auto s = channel_factors(seen->second, producer->limit);
    if (*std::max_element(s.begin(), s.end()) < kWorthwhile) continue;
    const Node& layer = graph.node(producer->layer);
    scale_slices(graph, layer.inputs[1], s);
    if (layer.inputs.size() > 2 && layer.inputs[2].valid()) scale_slices(graph, layer.inputs[2], s);
    for (const Use& use : uses) divide_depthwise(graph, graph.node(use.node).inputs[1], s);
    done.emplace(graph.value(id).name, s);
  }
  return done;
}

Statistics equalized_statistics(const Graph& graph, const Statistics& before,
                                const ChannelFactors& factors, const Dataset& data, int64_t samples,
                                int threads) {
  Statistics out = before;
  Statistics::Impl& stats = out.impl();
  std::vector<std::string> names;
  for (const auto& [name, s] : factors) names.push_back(name);
  Statistics seen;
  if (samples > 0) seen = collect_tensors(graph, data, samples, names, threads);
  for (const auto& [name, s] : factors) {
    TensorStats& tensor = stats.tensors.at(name);
    scale_stats(tensor, s);
    const TensorStats fresh = samples > 0 ? seen.impl().tensor(name) : TensorStats();
    tensor.histogram = fresh.histogram;
    tensor.chunks = fresh.chunks;
    for (const Use& use : graph.value(graph.find_value(name)).uses) {
      const auto windows = stats.windows.find(node_key(graph, use.node));
      if (windows == stats.windows.end()) continue;
      std::vector<FixedSum>& sums = windows->second.sums;
      const size_t taps = sums.size() / s.size();
      for (size_t k = 0; k < sums.size(); ++k) {
        const double scaled = sums[k].value() * s[k / taps];
        sums[k] = {};
        sums[k].add(scaled);
      }
    }
  }
  return out;
}

}  // namespace lapidary
