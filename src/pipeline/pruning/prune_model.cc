#include "src/pipeline/pruning/prune_model.h"

#include <algorithm>

#include "calibrate/feeder.h"
#include "lapidary/train.h"
#include "src/base/fail.h"
#include "src/pipeline/pruning/proof.h"

namespace lapidary {

namespace {

/// d loss / d constant over `train` data.
Gradients gradients_of(const StepContext& context, const Graph& graph, const PruneParams& params) {
  const Dataset& data = *context.data("train");
  GradientOptions options{
      .samples = params.samples, .seed = context.seed, .threads = context.threads};
  const int64_t fixed = Feeder(graph, data).fixed_batch();
  if (fixed > 0) options.batch = fixed;
  return mean_gradients(graph, data, {}, options);
}

PruneRecord record_of(const std::string& step, const PruningGraph& graph, const PruneParams& params,
                      const Selection& selection) {
  PruneRecord out{.step = step,
                  .criterion = params.criterion,
                  .target = params.target.begin()->first,
                  .asked = selection.asked,
                  .got = selection.got,
                  .before = selection.before,
                  .after = selection.after};
  for (size_t g = 0; g < graph.groups().size(); ++g) {
    const PruneGroup& group = graph.groups()[g];
    out.groups.push_back({.name = group.name,
                          .units = group.units,
                          .left = group.units - std::ssize(selection.removed[g]),
                          .note = selection.reasons[g]});
  }
  return out;
}

}  // namespace

void require_groups(const PruningGraph& graph) {
  if (!graph.groups().empty()) return;
  fail_unsupported(
      "nothing of the model can be removed: {} axes of weights are frozen, the first one because "
      "of {}; `lapidary prune --groups` lists them",
      graph.frozen().size(),
      graph.frozen().empty() ? "the lack of weights" : graph.frozen()[0].reason);
}

std::vector<std::string> kept_whole(const PruningGraph& graph, const PruneParams& params) {
  SelectOptions options = params.select_options();
  options.target = {"units", 1};
  UnitScores equal;
  for (const PruneGroup& group : graph.groups())
    equal.emplace_back(static_cast<size_t>(group.units), 1.0);
  return select_units(graph, equal, options).reasons;
}

Selector::Selector(const StepContext& context, const PruningGraph& graph, const PruneParams& params)
    : context_(context), graph_(graph) {
  const CriterionSpec spec = params.spec(context.seed);
  ScoreInputs inputs{.samples = params.samples, .threads = context.threads};
  if (needs_data(spec)) inputs.data = context.data("calib");
  if (needs_gradients(spec)) inputs.gradients = gradients_of(context, graph.graph(), params);
  scores_ = score_units(graph, spec, inputs);
  if (params.target.contains("latency"))
    table_.emplace(params.latency_threads, params.latency_table);
}

Selection Selector::operator()(SelectOptions options) {
  if (!table_) return select_units(graph_, scores_, options);
  options.latency = [this](const RemovedUnits& removed) {
    return table_->milliseconds(graph_.prune(removed));
  };
  Selection out = select_units(graph_, scores_, options);
  table_->save();
  context_.log.info(fmt::format("{} shapes timed", table_->shapes()));
  return out;
}

Graph cut_units(StepContext& context, const std::string& step, const PruningGraph& graph,
                const PruneParams& params, const Selection& selection, KeptElements* kept) {
  Graph pruned = graph.prune(selection.removed, kept);
  PruneRecord record = record_of(step, graph, params, selection);
  prove_pruned(context, graph, selection.removed, pruned, record);
  context.report.prunings.push_back(std::move(record));
  context.report.frozen_axes = graph.frozen();
  return pruned;
}

std::optional<RepairRecord> repair_pruned(const StepContext& context, const PruningGraph& graph,
                                          const RemovedUnits& removed, const PruneParams& params,
                                          Graph& pruned) {
  const Dataset* calib = params.repairs() ? context.data("calib") : nullptr;
  if (calib == nullptr) return std::nullopt;
  const auto asked = [&](std::string_view what) {
    return std::ranges::count(params.repair, what) > 0;
  };
  RepairRecord record = repair(graph, removed, pruned, *calib,
                               {.samples = params.repair_samples,
                                .weights = asked("weights"),
                                .statistics = asked("statistics"),
                                .threads = context.threads,
                                .log = context.log});
  for (const std::string& note : record.notes) context.log.info("not repaired: " + note);
  return record;
}

}  // namespace lapidary
