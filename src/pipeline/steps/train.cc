#include "src/pipeline/training/train_model.h"

namespace lapidary {

const StepDef& step_train() {
  static const FitStepKind kKind{{.epochs = 20, .usual_lr = 0.1}, true};
  static const StepDef kDef{"train", "Training from scratch: weights are made anew",
                            &all_training_fields,
                            [](const Setting& s) { return make_fit_step(kKind, s); }};
  return kDef;
}

}  // namespace lapidary
