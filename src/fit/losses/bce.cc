#include <array>

#include "src/fit/loss.h"

namespace lapidary {

namespace {

const FieldTable& no_fields() {
  static const FieldTable kTable{"bce", {}};
  return kTable;
}
Setting no_defaults() { return Setting::map({}); }

/// L = mean(-t log s(x) - (1 - t) log(1 - s(x))) = mean(softplus(x) - t x), s the sigmoid
ValueId build(LossFragment& f, ValueId logits, ValueId target, const Setting&) {
  const ValueId right = f.op("Mul", {logits, target});
  return f.mean_of_samples(f.op("Sub", {f.op("Softplus", {logits}), right}));
}

}  // namespace

const LossDef& loss_bce() {
  static constexpr std::array<std::string_view, 1> kSigmoid = {"Sigmoid"};
  static constexpr LossDef kDef = {"bce",     "binary cross-entropy of logits, each on its own",
                                   false,     kSigmoid,
                                   no_fields, no_defaults,
                                   build};
  return kDef;
}

}  // namespace lapidary
