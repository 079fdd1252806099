#include "src/fit/loss.h"
#include "src/ops/quantized_values.h"

namespace lapidary {

namespace {

struct CrossEntropyParams {
  double label_smoothing = 0;
  int64_t axis = -1;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "cross_entropy",
        {field("label_smoothing", &CrossEntropyParams::label_smoothing,
               "Share of the target that is spread over all classes")
             .range(0, 1),
         field("axis", &CrossEntropyParams::axis, "The output's axis of classes").range(-8, 7)}};
    return kTable;
  }
};

Setting defaults() {
  const CrossEntropyParams params;
  return unbind(CrossEntropyParams::fields(), &params);
}

/// L = -(1 - e) log p[label] - e mean_c(log p[c]), log p = LogSoftmax(scores)
///                                                       (Szegedy et al. 2016, as PyTorch has it)
ValueId build(LossFragment& f, ValueId scores, ValueId labels, const Setting& setting) {
  const auto params = bind<CrossEntropyParams>(setting);
  const ValueId log_p = f.op("LogSoftmax", {scores}, {{"axis", params.axis}});
  const ValueId index = f.op("Unsqueeze", {labels, f.integers({params.axis})});
  const ValueId picked = f.op("GatherElements", {log_p, index}, {{"axis", params.axis}});
  const auto e = static_cast<float>(params.label_smoothing);
  if (e == 0) return f.mean_of_samples(f.op("Neg", {picked}));
  const ValueId right = f.op("Mul", {picked, f.number(e - 1)});
  const ValueId spread = f.op("Mul", {f.mean(log_p, params.axis), f.number(-e)});
  return f.mean_of_samples(f.op("Add", {right, spread}));
}

}  // namespace

const LossDef& loss_cross_entropy() {
  static constexpr LossDef kDef = {"cross_entropy",
                                   "of scores and class labels",
                                   true,
                                   kSoftmaxes,
                                   &CrossEntropyParams::fields,
                                   defaults,
                                   build};
  return kDef;
}

}  // namespace lapidary
