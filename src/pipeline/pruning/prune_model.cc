#include "src/pipeline/pruning/prune_model.h"

#include <algorithm>

#include "calibrate/feeder.h"
#include "lapidary/train.h"
#include "src/base/fail.h"
#include "src/ops/opdef.h"
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
                  .target = params.what_is_left().of,
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

void warn(StepContext& context, const std::string& warning) {
  auto& all = context.report.warnings;
  if (std::ranges::count(all, warning) > 0) return;
  context.log.warn(warning);
  all.push_back(warning);
}

/// Of M consecutive input channels others stand together once some are gone.
void warn_of_pattern(StepContext& context) {
  if (!context.mask_pattern || context.mask_pattern->kind != SparsePattern::Kind::kNM) return;
  warn(context, fmt::format("step '{0}': the zeros of pattern {1} stay zero, but the pattern does "
                            "not hold in layers that lose input channels; put `sparsify` behind "
                            "`{0}`, with `round_to` a multiple of {2}",
                            context.name, context.mask_pattern->text(), context.mask_pattern->m));
}

void warn_of_missing_norms(StepContext& context, const PruningGraph& graph) {
  const auto without = std::ranges::count_if(graph.groups(), [](const PruneGroup& group) {
    return std::ranges::none_of(group.members,
                                [](const PruneMember& m) { return m.role == UnitRole::kGain; });
  });
  if (without == 0) return;
  warn(context, fmt::format("step '{}': of {} groups {} have no normalization; `norm_scale` scores "
                            "them by the size of their weights",
                            context.name, graph.groups().size(), without));
}

/// Of a graph that has no axis of weights: what it has instead.
std::string why_without_weights(const Graph& graph) {
  for (const NodeId id : graph.nodes()) {
    if (std::ranges::any_of(graph.node(id).attrs, [](const auto& attr) {
          return std::holds_alternative<std::shared_ptr<const Graph>>(attr.second);
        }))
      return fmt::format(
          "{}: what its inner graphs compute is not pruned, and around it no layer "
          "has weights",
          node_label(graph, id));
    if (!resolve_op(graph, id))
      return fmt::format("{}: the op is not known, and no known one has weights",
                         node_label(graph, id));
  }
  return "no layer of it has weights that are constants";
}

/// A share that no model has.
constexpr double kSmallest = 1e-9;

}  // namespace

void require_groups(const PruningGraph& graph) {
  if (!graph.groups().empty()) return;
  if (graph.frozen().empty())
    fail_unsupported("nothing of the model can be removed: {}", why_without_weights(graph.graph()));
  fail_unsupported(
      "nothing of the model can be removed: {} axes of weights are frozen, the first one because "
      "of {}; `lapidary prune --groups` lists them",
      graph.frozen().size(), graph.frozen()[0].reason);
}

void warn_of_target(StepContext& context, const std::string& of, double asked, double got,
                    const std::vector<std::string>& in_the_way) {
  if (in_the_way.empty()) return;
  warn(context, fmt::format("step '{}': {:.1f} % of the {} were asked for, the nearest that can be "
                            "had is {:.1f} %; in the way: {}",
                            context.name, 100 * asked, of, 100 * got, fmt::join(in_the_way, ", ")));
}

void plan_pruning(StepContext& context, const PruningGraph& graph, const PruneParams& params) {
  require_groups(graph);
  warn_of_pattern(context);
  context.report.frozen_axes = graph.frozen();
  if (params.what_is_left().of == "latency") {
    kept_whole(graph, params);
    return;
  }
  UnitScores equal;
  for (const PruneGroup& group : graph.groups())
    equal.emplace_back(static_cast<size_t>(group.units), 1.0);
  SelectOptions options = params.select_options();
  const Selection near = select_units(graph, equal, options);
  warn_of_target(context, options.target.of, near.asked, near.got, near.in_the_way);
  options.target.share = kSmallest;
  Selection most = select_units(graph, equal, options);
  most.asked = near.asked;
  PruneRecord record = record_of(context.name, graph, params, most);
  record.planned = true;
  context.report.prunings.push_back(std::move(record));
}

std::vector<std::string> kept_whole(const PruningGraph& graph, const PruneParams& params) {
  SelectOptions options = params.select_options();
  options.target = {"units", 1};
  UnitScores equal;
  for (const PruneGroup& group : graph.groups())
    equal.emplace_back(static_cast<size_t>(group.units), 1.0);
  return select_units(graph, equal, options).reasons;
}

Selector::Selector(StepContext& context, const PruningGraph& graph, const PruneParams& params)
    : context_(context), graph_(graph) {
  if (params.criterion == "norm_scale") warn_of_missing_norms(context, graph);
  const CriterionSpec spec = params.spec(context.seed);
  ScoreInputs inputs{.samples = params.samples, .threads = context.threads};
  if (needs_data(spec)) inputs.data = context.data("calib");
  if (needs_gradients(spec)) inputs.gradients = gradients_of(context, graph.graph(), params);
  scores_ = score_units(graph, spec, inputs);
  if (params.what_is_left().of == "latency")
    table_.emplace(params.latency_threads, params.latency_table, context.input_shapes);
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
  if (std::ranges::any_of(selection.removed, [](const auto& units) { return !units.empty(); }))
    warn_of_pattern(context);
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
  RepairRecord record = repair(graph, removed, pruned, *calib,
                               {.samples = params.repair_samples,
                                .weights = params.repairs("weights"),
                                .statistics = params.repairs("statistics"),
                                .keep_zeros = params.keep_zeros.value_or(context.masked),
                                .threads = context.threads,
                                .log = context.log});
  for (const std::string& note : record.notes) context.log.info("not repaired: " + note);
  return record;
}

}  // namespace lapidary
