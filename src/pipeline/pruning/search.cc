#include "src/pipeline/pruning/search.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "calibrate/statistics.h"
#include "src/base/fail.h"
#include "src/pipeline/pruning/measure.h"
#include "src/pipeline/pruning/search_file.h"
#include "src/pipeline/report/format.h"
#include "src/pipeline/yaml.h"

namespace lapidary {

namespace {

/// Bounds of the share that are nearer than this are one.
constexpr double kFinest = 1e-3;
/// Rounding of a difference of shares, in points.
constexpr double kRounding = 1e-9;

/// All that a try depends on: a search may go on with more tries.
std::string recipe_lines(PruneParams params) {
  params.sensitivity.reset();
  if (params.budget) params.budget->tries = BudgetParams().tries;
  std::string out;
  for (const auto& [key, value] : unbind(PruneParams::fields(), &params).entries)
    if (value.kind == Setting::Kind::kMap)  // each for itself: a record that differs is long
      for (const auto& [part, own] : value.entries)
        out += fmt::format("{}.{}: {}\n", key, part, write_json(own));
    else
      out += fmt::format("{}: {}\n", key, write_json(value));
  return out;
}

std::string input_lines(const StepContext& context, const PruneParams& params,
                        const PruneMeasure& measure) {
  std::string out =
      fmt::format("seed: {}\nmodel (SHA-256): {}\ndata measured on (SHA-256): {}\n", context.seed,
                  graph_hash(context.graph), measure.data().manifest_sha256());
  std::vector<std::string_view> read = params.needs();
  if (params.repairs()) read.emplace_back("calib");
  for (const std::string_view role : read)
    if (const Dataset* data = context.data(role))
      out += fmt::format("{} data (SHA-256): {}\n", role, data->manifest_sha256());
  return out;
}

class Search {
 public:
  Search(StepContext& context, const PruningGraph& graph, Selector& select,
         const PruneParams& params)
      : context_(context),
        graph_(graph),
        select_(select),
        params_(params),
        budget_(*params.budget),
        options_(params.select_options()),
        measure_(context, graph.graph(), budget_.metric, budget_.samples),
        file_(context.checkpoint, recipe_lines(params), input_lines(context, params, measure_)) {}

  std::optional<Selection> run(const std::function<Graph(const Selection&)>& make) {
    begin();
    const double smallest = options_.target.share;
    while (const auto share = next_share(smallest, budget_.tries, state_.points)) {
      if (stopped()) return std::nullopt;
      take(*share, make);
    }
    record();
    if (removes_units()) return best();
    context_.report.frozen_axes = graph_.frozen();
    warn(
        fmt::format("step '{}': none of {} models from {:.1f} % of the {} on keeps {} {}; nothing "
                    "is removed",
                    context_.name, state_.points.size(), 100 * smallest, options_.target.of,
                    measure_.metric().name, bound_text()));
    return std::nullopt;
  }

 private:
  bool writes() const { return context_.rank.rank == 0 && !context_.checkpoint.empty(); }

  void begin() {
    if (context_.resume) {
      if (auto found = file_.load()) state_ = std::move(*found);
    } else if (writes()) {
      std::filesystem::remove(context_.checkpoint);
    }
  }

  /// Several processes would have to agree.
  bool stopped() {
    if (context_.rank.world_size == 1 && context_.stop && context_.stop())
      context_.interrupted = true;
    return context_.interrupted;
  }

  void take(double share, const std::function<Graph(const Selection&)>& make) {
    SelectOptions options = options_;
    options.target.share = share;
    const Selection selection = select_(options);
    const double value = measure_({make(selection)}).at(0);
    const bool met = within(value);
    state_.points.push_back({.share = share, .got = selection.got, .metric = value, .met = met});
    if (met) state_.best = selection.removed;
    if (writes()) file_.save(state_);
    context_.log.info(fmt::format("{:.1f} % of the {} left: {} {}, {} the budget",
                                  100 * selection.got, options.target.of, measure_.metric().name,
                                  text(value), met ? "within" : "beyond"));
    context_.log.advance("search", std::ssize(state_.points), budget_.tries);
  }

  /// False for NaN.
  bool within(double value) const {
    if (!budget_.min_value) return drop(value) <= budget_.max_drop_points + kRounding;
    const double least = *budget_.min_value;
    return measure_.metric().higher_is_better ? value >= least : value <= least;
  }

  /// Points of the metric that are lost.
  double drop(double value) const {
    const MetricDef& m = measure_.metric();
    const double lost = measure_.whole() - value;
    return (m.higher_is_better ? lost : -lost) * m.points;
  }

  /// A share near the whole may round to it.
  bool removes_units() const {
    return state_.best &&
           std::ranges::any_of(*state_.best, [](const auto& units) { return !units.empty(); });
  }

  /// The last that was met: each is tried below those before it.
  const SearchRecord::Point* last_met() const {
    const auto found = std::find_if(state_.points.rbegin(), state_.points.rend(),
                                    [](const SearchRecord::Point& p) { return p.met; });
    return found == state_.points.rend() ? nullptr : &*found;
  }

  Selection best() const {
    return {.removed = *state_.best,
            .before = graph_.cost(RemovedUnits(graph_.groups().size())),
            .after = graph_.cost(*state_.best),
            .asked = last_met()->share,
            .got = last_met()->got,
            .reasons = kept_whole(graph_, params_)};
  }

  void record() const {
    const SearchRecord::Point* kept = last_met();
    context_.report.searches.push_back(
        {.step = context_.name,
         .target = options_.target.of,
         .metric = std::string(measure_.metric().name),
         .samples = measure_.samples(),
         .whole = measure_.whole(),
         .budget = budget_.min_value ? std::abs(measure_.whole() - *budget_.min_value)
                                     : budget_.max_drop_points / measure_.metric().points,
         .points = state_.points,
         .kept = kept ? kept->got : 1});
  }

  std::string bound_text() const {
    if (budget_.min_value) return "at " + text(*budget_.min_value) + " or better";
    return fmt::format("within {:g}{} of the {} it was", budget_.max_drop_points,
                       measure_.metric().is_share() ? " points" : "", text(measure_.whole()));
  }
  std::string text(double value) const { return metric_text(measure_.metric(), value); }

  void warn(const std::string& warning) const {
    context_.log.warn(warning);
    context_.report.warnings.push_back(warning);
  }

  StepContext& context_;
  const PruningGraph& graph_;
  Selector& select_;
  const PruneParams& params_;
  const BudgetParams& budget_;
  const SelectOptions options_;
  PruneMeasure measure_;
  const SearchFile file_;
  SearchState state_;
};

}  // namespace

std::optional<double> next_share(double smallest, int64_t tries,
                                 const std::vector<SearchRecord::Point>& points) {
  if (std::ssize(points) >= tries) return std::nullopt;
  if (points.empty()) return smallest;
  double beyond = smallest, within = 1;
  for (const SearchRecord::Point& p : points)
    if (p.met)
      within = std::min(within, p.share);
    else
      beyond = std::max(beyond, p.share);
  if (within - beyond < kFinest) return std::nullopt;
  return (beyond + within) / 2;
}

std::optional<Selection> search_budget(StepContext& context, const PruningGraph& graph,
                                       Selector& select, const PruneParams& params,
                                       const std::function<Graph(const Selection&)>& make) {
  return Search(context, graph, select, params).run(make);
}

void check_search(const StepContext& context, const PruneParams& params) {
  SearchFile(context.checkpoint, recipe_lines(params), "").check_recipe();
}

}  // namespace lapidary
