#include "tools/training_verb.h"

namespace lapidary::cli {

void add_prune_train(CLI::App& app, Common& common, Action& action) {
  const auto verb = std::make_shared<Verb>();
  CLI::App* sub = add_training_verb(
      app, "prune_train", "Prunes little by little and trains in between", common, verb, action);
  add_data(*sub, *verb, "calib", "Data for criteria that look at activations");
}

}  // namespace lapidary::cli
