#include <cmath>

#include "lapidary/sparsify.h"
#include "prune/sparsity/plan.h"
#include "src/base/fail.h"

namespace lapidary {

double cubic_sparsity(double initial, double final, int64_t first, int64_t last, int64_t t) {
  if (t < first) return initial;
  if (t >= last) return final;
  const double left = 1 - static_cast<double>(t - first) / static_cast<double>(last - first);
  return final + (initial - final) * left * left * left;
}

std::function<void(Trainer&, int64_t, int64_t)> gradual_sparsity(const Graph& graph,
                                                                 const GradualOptions& options) {
  const SparsityPlan plan = plan_sparsity(graph, options.sparsify);
  const auto& [sparsify, initial, begin, end, every] = options;
  if (plan.method->solve)
    fail_usage("{} works in one shot, by a step of its own; while training take another method",
               plan.method->name);
  if (!(initial >= 0 && initial <= plan.ratio))
    fail_usage("'initial' is {}; it is at most the ratio, {}", initial, plan.ratio);
  if (!(begin >= 0 && begin <= end && end <= 1))
    fail_usage("'begin' is {} and 'end' is {}; shares of the run, one after the other", begin, end);
  if (sparsify.method == "movement" && initial > 0 && begin == 0)
    fail_usage("'initial' is {}: before the first step nothing has moved; let it `begin` later",
               initial);
  if (every < 1) fail_usage("'every' is {} steps", every);
  return [plan, options](Trainer& trainer, int64_t step, int64_t total) {
    const auto at = [total](double share) {
      return std::llround(share * static_cast<double>(total));
    };
    // The last step makes masks too where the run ends with the schedule.
    const int64_t last = std::min<int64_t>(at(options.end), total - 1);
    const int64_t first = std::min<int64_t>(at(options.begin), last);
    if (step < first || step > last || (step != last && (step - first) % options.every != 0))
      return;
    const double ratio = cubic_sparsity(options.initial, plan.ratio, first, last, step);
    SparsifyOptions now = options.sparsify;
    std::map<std::string, Tensor> movement;
    if (now.method == "movement")
      for (const std::string& name : plan.names) movement[name] = trainer.movement(name);
    now.movement = &movement;
    const Masks masks = choose_masks(
        plan, now, ratio, [&](const std::string& name) { return trainer.constant(name); },
        [&](const std::string& name) { return trainer.mask(name); });
    for (const auto& [name, mask] : masks) trainer.set_mask(name, mask);
  };
}

}  // namespace lapidary
