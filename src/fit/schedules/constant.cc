#include "src/fit/schedule.h"

namespace lapidary {

namespace {

struct Constant {
  double warmup = 0;

  static const FieldTable& fields() {
    static const FieldTable kTable{"constant", {warmup_field(&Constant::warmup)}};
    return kTable;
  }
  double operator()(int64_t step, int64_t total) const {
    return with_warmup(warmup, step, total, [](int64_t, int64_t) { return 1.0; });
  }
};

}  // namespace

const ScheduleDef& schedule_constant() {
  static constexpr ScheduleDef kDef = schedule_row<Constant>("constant", "one rate throughout");
  return kDef;
}

}  // namespace lapidary
