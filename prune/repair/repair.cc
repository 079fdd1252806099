#include "lapidary/calibrate.h"
#include "lapidary/prune.h"
#include "prune/repair/channel_norms.h"
#include "prune/repair/reconstruct.h"
#include "src/base/fail.h"

namespace lapidary {

namespace {

/// `source` without the same units as `like`, whose constants it takes.
Graph pruned_alike(const Graph& source, const PruningGraph& graph, const RemovedUnits& removed,
                   const Graph& like) {
  const PruningGraph with_norms(source);
  LAPIDARY_CHECK(with_norms.groups().size() == graph.groups().size());
  for (size_t g = 0; g < graph.groups().size(); ++g)
    LAPIDARY_CHECK(with_norms.groups()[g].name == graph.groups()[g].name &&
                   with_norms.groups()[g].units == graph.groups()[g].units);
  Graph out = with_norms.prune(removed);
  for (ValueId v : out.values()) {
    if (!out.value(v).constant) continue;
    const ValueId same = like.find_value(out.value(v).name);
    if (same && like.value(same).constant)
      out.mutable_value(v).constant = like.value(same).constant;
  }
  return out;
}

}  // namespace

RepairRecord repair(const PruningGraph& graph, const RemovedUnits& removed, Graph& pruned,
                    const Dataset& data, const RepairOptions& options) {
  if (data.size() == 0) fail_usage("no samples to repair the pruned model with");
  RepairRecord record;
  if (options.weights) {
    KeptElements kept;
    graph.prune(removed, &kept);
    prune::reconstruct_weights(graph.graph(), kept, pruned, data, options, record);
  }
  if (!options.statistics) return record;
  const ReestimateOptions reestimate{
      .samples = options.samples, .threads = options.threads, .log = options.log};
  Graph source = graph.graph();
  const auto norms = prune::add_channel_norms(source, data, options);
  if (!norms.empty()) pruned = pruned_alike(source, graph, removed, pruned);
  record.norms = reestimate_batchnorm(pruned, data, reestimate) - std::ssize(norms);
  record.scaled = prune::fold_channel_norms(pruned, norms);
  return record;
}

}  // namespace lapidary
