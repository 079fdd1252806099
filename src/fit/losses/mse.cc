#include "src/fit/loss.h"

namespace lapidary {

namespace {

const FieldTable& no_fields() {
  static const FieldTable kTable{"mse", {}};
  return kTable;
}
Setting no_defaults() { return Setting::map({}); }

/// L = mean((y - t)^2)
ValueId build(LossFragment& f, ValueId output, ValueId target, const Setting&) {
  const ValueId difference = f.op("Sub", {output, target});
  return f.mean_of_samples(f.op("Mul", {difference, difference}));
}

}  // namespace

const LossDef& loss_mse() {
  static constexpr LossDef kDef = {"mse",     "mean squared error", false, {},
                                   no_fields, no_defaults,          build};
  return kDef;
}

}  // namespace lapidary
