#include "src/pipeline/pruning/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "src/pipeline/pruning/measure.h"
#include "src/pipeline/pruning/prune_model.h"

namespace lapidary {

namespace {

/// The `count` units of least score, ascending.
std::vector<int64_t> least(const std::vector<double>& scores, int64_t count) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, {}, [&](int64_t u) { return scores[static_cast<size_t>(u)]; });
  order.resize(static_cast<size_t>(count));
  std::ranges::sort(order);
  return order;
}

/// Metric by number of units removed; without those that were not asked for, 0 is the whole model.
std::map<int64_t, double> measure_counts(PruneMeasure& measure, const PruningGraph& graph,
                                         const std::vector<double>& scores, size_t group,
                                         std::map<int64_t, double> counts) {
  std::vector<Graph> models;
  for (const auto& [count, value] : counts) {
    if (count == 0) continue;
    RemovedUnits removed(graph.groups().size());
    removed[group] = least(scores, count);
    models.push_back(graph.prune(removed));
  }
  const std::vector<double> found = models.empty() ? std::vector<double>() : measure(models);
  auto next = found.begin();
  for (auto& [count, value] : counts) value = count == 0 ? measure.whole() : *next++;
  return counts;
}

}  // namespace

SensitivityRecord measure_sensitivity(const StepContext& context, const PruningGraph& graph,
                                      const UnitScores& scores, const PruneParams& params) {
  const SensitivityParams& asked = *params.sensitivity;
  PruneParams any = params;
  any.ratios.clear();  // those say what goes, not what may
  const std::vector<std::string> reasons = kept_whole(graph, any);
  PruneMeasure measure(context, graph.graph(), asked.metric, asked.samples, "sqnr_db");
  SensitivityRecord out{.step = context.name,
                        .metric = std::string(measure.metric().name),
                        .samples = measure.samples(),
                        .whole = measure.whole()};
  for (size_t g = 0; g < reasons.size(); ++g) {
    const PruneGroup& group = graph.groups()[g];
    if (reasons[g].empty()) {
      const auto count_of = [&](double ratio) {
        return std::clamp<int64_t>(std::llround(ratio * static_cast<double>(group.units)), 0,
                                   group.units - 1);
      };
      std::map<int64_t, double> counts;
      for (const double ratio : asked.ratios) counts[count_of(ratio)] = 0;
      counts = measure_counts(measure, graph, scores[g], g, std::move(counts));
      SensitivityRecord::Group record{.name = group.name};
      for (const double ratio : asked.ratios)
        record.points.emplace_back(ratio, counts.at(count_of(ratio)));
      out.groups.push_back(std::move(record));
    }
    context.log.advance("sensitivity", static_cast<int64_t>(g) + 1, std::ssize(reasons));
  }
  return out;
}

}  // namespace lapidary
