#include "src/pipeline/pruning/proof.h"

#include "calibrate/feeder.h"
#include "src/base/fail.h"
#include "src/pipeline/bench.h"

namespace lapidary {

namespace {

constexpr int64_t kSamples = 8;

Executor::Values inputs_of(const StepContext& context, const Graph& graph) {
  for (const std::string_view role : {"calib", "train", "valid"})
    if (const Dataset* data = context.data(role)) {
      const Feeder feeder(graph, *data);
      const int64_t batch = feeder.fixed_batch() > 0 ? feeder.fixed_batch() : kSamples;
      return feeder.inputs(data->batch(0, batch));
    }
  return bench_inputs(graph, {.seed = context.seed});
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

/// What lossy groups leave cannot be compared, but it must run.
void run_once(const Graph& pruned, const Executor::Values& inputs, int threads) {
  try {
    Executor(pruned, {.threads = threads}).run(inputs);
  } catch (const Error& error) {
    fail(ErrorCode::kInternal, "the pruned model does not run: {}. Please report this model",
         error.what());
  }
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
    if (lossy) run_once(pruned, inputs, context.threads);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) throw;
    record.not_checked = error.what();
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
