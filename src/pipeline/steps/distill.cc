#include "src/pipeline/training/train_model.h"

namespace lapidary {

namespace {

const FieldTable& fields() {
  static const FieldTable kTable = training_table("distill");
  return kTable;
}

}  // namespace

const StepDef& step_distill() {
  static const FitStepKind kKind{&fields, {.epochs = 5, .usual_lr = 0.01, .teacher = "original"}};
  static const StepDef kDef{"distill",
                            "Training on what a teacher says, and on labels where there are some",
                            &fields, [](const Setting& s) { return make_fit_step(kKind, s); }};
  return kDef;
}

}  // namespace lapidary
