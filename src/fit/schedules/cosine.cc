#include "src/fit/schedule.h"

namespace lapidary {

namespace {

/// floor + (1 - floor) (1 + cos(pi t / T)) / 2 at step t of T      (Loshchilov, Hutter 2017)
struct Cosine {
  double floor = 0;
  double warmup = 0;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "cosine",
        {field("floor", &Cosine::floor, "Where it ends, as a share of the rate").range(0, 1),
         warmup_field(&Cosine::warmup)}};
    return kTable;
  }
  double operator()(int64_t step, int64_t total) const {
    return with_warmup(warmup, step, total, [&](int64_t at, int64_t of) {
      return cosine_between(1, floor, static_cast<double>(at) / static_cast<double>(of));
    });
  }
};

}  // namespace

const ScheduleDef& schedule_cosine() {
  static constexpr ScheduleDef kDef =
      schedule_row<Cosine>("cosine", "half a cosine from the rate down to a share of it");
  return kDef;
}

}  // namespace lapidary
