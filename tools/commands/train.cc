#include "tools/training_verb.h"

namespace lapidary::cli {

void add_train(CLI::App& app, Common& common, Action& action) {
  add_training_verb(app, "train", "Trains a model from scratch: its weights are made anew", common,
                    std::make_shared<Verb>(), action);
}

}  // namespace lapidary::cli
