#include "tools/training_verb.h"

namespace lapidary::cli {

void add_distill(CLI::App& app, Common& common, Action& action) {
  add_training_verb(app, "distill", "Trains a model on what a teacher says", common,
                    std::make_shared<Verb>(), action);
}

}  // namespace lapidary::cli
