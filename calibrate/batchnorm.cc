#include <algorithm>
#include <cmath>
#include <map>

#include "calibrate/feeder.h"
#include "calibrate/moments.h"
#include "lapidary/calibrate.h"
#include "lapidary/exec.h"
#include "lapidary/passes.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/data/batches.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"

namespace lapidary {

namespace {

constexpr size_t kMean = 3, kVariance = 4;

void check(const Graph& graph, NodeId id) {
  if (int_attr(graph, id, "training_mode", 0) != 0)
    fail_unsupported("{} is in training mode: it has no running statistics", node_label(graph, id));
  for (const size_t slot : {kMean, kVariance}) {
    const ValueId statistic = input_of(graph, id, slot);
    const Tensor* elements = statistic ? graph.constant(statistic) : nullptr;
    if (!elements || elements->dtype() != DType::kF32)
      fail_unsupported("{}: its running statistics are no float32 constants",
                       node_label(graph, id));
  }
}

/// BatchNormalization nodes by how many others lie before them.
std::vector<std::vector<NodeId>> waves_of(const Graph& graph) {
  std::vector<std::vector<NodeId>> waves;
  std::map<ValueId, size_t> before;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    size_t most = 0;
    const auto see = [&](ValueId input) {
      if (const auto found = before.find(input); found != before.end())
        most = std::max(most, found->second);
    };
    for (const ValueId input : node.inputs) see(input);
    for (const Capture& capture : node.captures) see(capture.outer);
    if (is_op(graph, id, "BatchNormalization")) {
      check(graph, id);
      if (waves.size() <= most) waves.resize(most + 1);
      waves[most++].push_back(id);
    }
    for (const ValueId out : node.outputs)
      if (out) before[out] = most;
  }
  return waves;
}

/// Whether `id` alone reads the constant in this slot as a parameter. What is computed from it, as
/// a weight's scale is, follows it.
bool owns(const std::vector<ParameterUse>& uses, NodeId id, ValueId constant, ParameterRole role) {
  return std::all_of(uses.begin(), uses.end(), [&](const ParameterUse& use) {
    return use.constant != constant || (use.reader == id && use.role == role);
  });
}

void set_statistic(Graph& graph, NodeId id, size_t slot, Tensor elements) {
  const ValueId was = graph.node(id).inputs[slot];
  const ParameterRole role = slot == kMean ? ParameterRole::kMean : ParameterRole::kVariance;
  if (owns(parameter_uses(graph), id, was, role))
    graph.mutable_value(was).constant = std::move(elements);
  else
    graph.set_input(id, slot, add_constant(graph, graph.value(was).name, std::move(elements)));
}

}  // namespace

int64_t reestimate_batchnorm(Graph& graph, const Dataset& data, const ReestimateOptions& options) {
  const auto waves = waves_of(graph);
  if (data.size() == 0) fail_usage("no samples to take statistics from");
  const int64_t samples =
      options.samples > 0 ? std::min(options.samples, data.size()) : data.size();
  const int64_t batch = suitable_batch(graph, data, options.batch);
  int64_t count = 0, done = 0;
  for (const auto& wave : waves) {
    Graph part = graph;
    std::vector<ValueId> inputs;
    for (const NodeId id : wave)
      if (const ValueId x = graph.node(id).inputs[0];
          std::find(inputs.begin(), inputs.end(), x) == inputs.end())
        inputs.push_back(x);
    part.set_outputs(inputs);
    run_passes(part, {"remove_dead_code"});
    const Feeder feeder(part, data);
    Executor executor(std::move(part), {.threads = options.threads});
    std::map<ValueId, Moments> moments;
    const auto see = [&](const Batch& some) {
      const auto values = executor.run(feeder.inputs(some));
      for (const ValueId x : inputs)
        moments[x].see(values.at(graph.value(x).name), feeder.rows(some), options.threads);
    };
    if (samples == data.size())
      for_batches(data, 0, samples, batch, [&](const Batch& some, int64_t) { see(some); });
    else
      for_spread_batches(data, samples, batch, see);
    for (const NodeId id : wave)
      with_context([&] { return node_label(graph, id); },
                   [&] {
                     const Moments& found = moments[graph.node(id).inputs[0]];
                     const Shape shape = graph.constant(graph.node(id).inputs[kMean])->shape();
                     set_statistic(graph, id, kMean, found.mean(shape));
                     set_statistic(graph, id, kVariance, found.variance(shape));
                     ++count;
                   });
    options.log.advance("statistics", ++done, std::ssize(waves));
  }
  return count;
}

}  // namespace lapidary
