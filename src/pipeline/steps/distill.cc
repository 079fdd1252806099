#include "src/pipeline/training/train_model.h"

namespace lapidary {

const StepDef& step_distill() {
  static const FitStepKind kKind{{.epochs = 5, .usual_lr = 0.01, .teacher = "original"}};
  static const StepDef kDef{
      "distill", "Training on what a teacher says, and on labels where there are some",
      &all_training_fields, [](const Setting& s) { return make_fit_step(kKind, s); }};
  return kDef;
}

}  // namespace lapidary
