#include "tools/training_verb.h"

namespace lapidary::cli {

void add_prune_train(CLI::App& app, Common& common, Action& action) {
  add_training_verb(app, "prune_train", "Prunes little by little and trains in between", common,
                    std::make_shared<Verb>(), action);
}

}  // namespace lapidary::cli
