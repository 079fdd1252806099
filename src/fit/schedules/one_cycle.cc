#include <algorithm>

#include "src/fit/schedule.h"

namespace lapidary {

namespace {

/// Up from 1 / start to 1 over `warmup total` steps, then down to 1 / end at the last step, along
/// half cosines                                       (Smith, Topin 2018, as PyTorch's OneCycleLR)
struct OneCycle {
  double warmup = 0.3;
  double start = 25;
  double end = 250000;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "one_cycle",
        {field("warmup", &OneCycle::warmup, "Share of the steps on the way up").range(0, 0.99),
         field("start", &OneCycle::start, "The first rate is the highest over this").range(1, 1e12),
         field("end", &OneCycle::end, "The last rate is the highest over this").range(1, 1e12)}};
    return kTable;
  }
  double operator()(int64_t step, int64_t total) const {
    const double top = std::max(0.0, warmup * static_cast<double>(total) - 1);
    const auto at = static_cast<double>(step);
    if (at < top) return cosine_between(1 / start, 1, at / top);
    const double rest = static_cast<double>(total) - 1 - top;
    return cosine_between(1, 1 / end, rest > 0 ? (at - top) / rest : 0);
  }
};

}  // namespace

const ScheduleDef& schedule_one_cycle() {
  static constexpr ScheduleDef kDef =
      schedule_row<OneCycle>("one_cycle", "up to the rate and far down again, along cosines");
  return kDef;
}

}  // namespace lapidary
