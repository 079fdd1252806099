#include <algorithm>
#include <cmath>

#include "src/fit/schedule.h"

namespace lapidary {

namespace {

/// gamma^k, k the number of milestones at or before step / total; without milestones they are
/// every, 2 every, ...
struct StepDecay {
  double gamma = 0.1;
  std::vector<double> milestones;
  double every = 0.3;
  double warmup = 0;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "step",
        {field("gamma", &StepDecay::gamma, "What the rate is multiplied by each time")
             .range(1e-6, 1),
         field("milestones", &StepDecay::milestones,
               "Shares of the run at which it is; instead of `every`")
             .range(0, 1),
         field("every", &StepDecay::every, "Share of the run after which it is, again and again")
             .range(1e-4, 1),
         warmup_field(&StepDecay::warmup)}};
    return kTable;
  }

  double operator()(int64_t step, int64_t total) const {
    return with_warmup(warmup, step, total, [&](int64_t at, int64_t of) {
      // A step counts as reached from its middle on: a milestone of 3/10 is step 3 of 10 exactly.
      const double share = (static_cast<double>(at) + 0.5) / static_cast<double>(of);
      if (milestones.empty()) return std::pow(gamma, std::floor(share / every));
      return std::pow(gamma, std::count_if(milestones.begin(), milestones.end(),
                                           [&](double m) { return m <= share; }));
    });
  }
};

}  // namespace

const ScheduleDef& schedule_step() {
  static constexpr ScheduleDef kDef =
      schedule_row<StepDecay>("step", "times gamma at milestones, or every so often");
  return kDef;
}

}  // namespace lapidary
