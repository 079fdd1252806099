#include "src/pipeline/training/train_model.h"

namespace lapidary {

namespace {

const FieldTable& fields() {
  static const FieldTable kTable = training_table("finetune");
  return kTable;
}

}  // namespace

const StepDef& step_finetune() {
  static const FitStepKind kKind{&fields, {.epochs = 5, .usual_lr = 0.01}};
  static const StepDef kDef{"finetune", "Training on from the weights as they are", &fields,
                            [](const Setting& s) { return make_fit_step(kKind, s); }};
  return kDef;
}

}  // namespace lapidary
