#include "src/pipeline/training/train_model.h"

namespace lapidary {

const StepDef& step_finetune() {
  static const FitStepKind kKind{{.epochs = 5, .usual_lr = 0.01}};
  static const StepDef kDef{"finetune", "Training on from the weights as they are",
                            &all_training_fields,
                            [](const Setting& s) { return make_fit_step(kKind, s); }};
  return kDef;
}

}  // namespace lapidary
