#include "src/pipeline/training/train_model.h"

namespace lapidary {

namespace {

const FieldTable& fields() {
  static const FieldTable kTable = training_table("train");
  return kTable;
}

}  // namespace

const StepDef& step_train() {
  static const FitStepKind kKind{&fields, {.epochs = 20, .usual_lr = 0.1}, true};
  static const StepDef kDef{"train", "Training from scratch: weights are made anew", &fields,
                            [](const Setting& s) { return make_fit_step(kKind, s); }};
  return kDef;
}

}  // namespace lapidary
