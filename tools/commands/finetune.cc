#include "tools/training_verb.h"

namespace lapidary::cli {

void add_finetune(CLI::App& app, Common& common, Action& action) {
  add_training_verb(app, "finetune", "Trains a model on from its weights", common,
                    std::make_shared<Verb>(), action);
}

}  // namespace lapidary::cli
