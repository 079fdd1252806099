#include "src/pipeline/layer_records.h"

#include <map>
#include <string>
#include <utility>

#include "calibrate/feeder.h"
#include "src/pipeline/bench.h"

namespace lapidary {

namespace {

constexpr double kSeconds = 0.1;  // spent on the times

}  // namespace

LayerRecord layer_record(const StepInfo& step) {
  return {.node = step.nodes.empty() ? "" : step.nodes.front(),
          .op = step.op,
          .macs = step.macs,
          .parameters = step.parameters,
          .kernel = step.kernel,
          .precision = step.precision,
          .bytes_moved = step.bytes_moved};
}

std::vector<LayerRecord> layer_records(const Graph& model, const std::vector<LayerError>& errors,
                                       const Dataset& data, const LayerRecordOptions& options) {
  Executor executor(model, {.threads = options.threads, .profile = options.timed});
  if (data.size() == 0) return {};
  const Batch one = data.batch(0, suitable_batch(model, data, 1));
  if (one.size() == 0) return {};
  const Executor::Values inputs = Feeder(model, data).inputs(one);
  std::map<std::string, const LayerError*> by_node;
  for (const LayerError& e : errors) by_node.emplace(e.node, &e);
  if (!options.timed) executor.run(inputs);
  std::vector<LayerRecord> out;
  for (const StepInfo& step :
       options.timed ? time_steps(executor, inputs, 3, kSeconds) : executor.steps()) {
    LayerRecord r = layer_record(step);
    if (options.timed) r.latency_ms = step.milliseconds;
    for (const std::string& node : step.nodes)
      if (const auto found = by_node.find(node); found != by_node.end()) {
        r.sqnr_db = found->second->sqnr_db;
        r.cosine = found->second->cosine;
        break;
      }
    out.push_back(std::move(r));
  }
  return out;
}

}  // namespace lapidary
