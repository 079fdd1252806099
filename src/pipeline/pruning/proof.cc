#include "src/pipeline/pruning/proof.h"

#include "calibrate/feeder.h"
#include "prune/run_pruned.h"
#include "src/base/fail.h"
#include "src/pipeline/bench.h"

namespace lapidary {

namespace {

constexpr int64_t kSamples = 8;

/// Of axes that are open and not given.
constexpr int64_t kOpenSize = 16;

/// Sizes for every input: those that were given; of open axes the first is the batch.
std::map<std::string, Shape> sizes_of(const StepContext& context, const Graph& graph) {
  std::map<std::string, Shape> out = context.input_shapes;
  for (const ValueId id : graph.inputs()) {
    const Value& input = graph.value(id);
    if (input.constant || !input.type.shape) continue;
    for (size_t axis = 1; axis < input.type.shape->size(); ++axis) {
      const Dim& dim = (*input.type.shape)[axis];
      if (dim.known() || out.contains(input.name)) continue;
      if (!dim.symbol.empty()) {
        out.try_emplace(dim.symbol, Shape{kOpenSize});
        continue;
      }
      Shape shape;
      for (const Dim& d : *input.type.shape)
        shape.push_back(d.known() ? d.value : shape.empty() ? 1 : kOpenSize);
      out.emplace(input.name, std::move(shape));
    }
  }
  return out;
}

Executor::Values inputs_of(const StepContext& context, const Graph& graph) {
  for (const std::string_view role : {"calib", "train", "valid"})
    if (const Dataset* data = context.data(role)) {
      const Feeder feeder(graph, *data);
      const int64_t batch = feeder.fixed_batch() > 0 ? feeder.fixed_batch() : kSamples;
      return feeder.inputs(data->batch(0, batch));
    }
  return bench_inputs(graph, {.input_shapes = sizes_of(context, graph), .seed = context.seed});
}

/// A group that lost units and in which what is left changes.
const PruneGroup* lossy_group(const PruningGraph& graph, const RemovedUnits& removed) {
  for (size_t g = 0; g < removed.size(); ++g)
    if (!removed[g].empty() && !graph.groups()[g].lossy.empty()) return &graph.groups()[g];
  return nullptr;
}

/// The same but for lossy groups, which keep all units.
RemovedUnits without_lossy(const PruningGraph& graph, RemovedUnits removed) {
  for (size_t g = 0; g < removed.size(); ++g)
    if (!graph.groups()[g].lossy.empty()) removed[g].clear();
  return removed;
}

}  // namespace

void prove_pruned(StepContext& context, const PruningGraph& graph, const RemovedUnits& removed,
                  const Graph& pruned, PruneRecord& record) {
  const PruneGroup* lossy = lossy_group(graph, removed);
  std::optional<double> difference;
  try {
    const Executor::Values inputs = inputs_of(context, graph.graph());
    const RemovedUnits exact = lossy ? without_lossy(graph, removed) : removed;
    difference = compare_with_masked(graph, exact, lossy ? graph.prune(exact) : pruned, inputs,
                                     context.threads);
    // What lossy groups leave cannot be compared, but it must run.
    if (lossy) prune::run_pruned(pruned, inputs, context.threads);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) throw;
    record.not_checked = error.what();
    const std::string warning = fmt::format(
        "step '{}': the pruned model was not compared with the masked one: {}. Give calibration "
        "data, or `--shape` for inputs whose sizes are open",
        context.name, error.what());
    context.log.warn(warning);
    context.report.warnings.push_back(warning);
    return;
  }
  if (*difference > kMaskedTolerance)
    fail(ErrorCode::kInternal,
         "the pruned model's outputs are {:.3g} from those of the masked one, relative to their "
         "slice; expected {} at most. Please report this model",
         *difference, kMaskedTolerance);
  if (lossy)
    record.not_checked =
        fmt::format("group '{}' is lossy: {}; the other groups' units were compared ({:.1g})",
                    lossy->name, lossy->lossy, *difference);
  else
    record.difference = difference;
}

}  // namespace lapidary
