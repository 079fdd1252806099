#include "tools/training_verb.h"

namespace lapidary::cli {

void add_binarize(CLI::App& app, Common& common, Action& action) {
  auto o = std::make_shared<Verb>();
  CLI::App* sub = add_training_verb(
      app, "binarize", "Trains a model with layers of binary or ternary weights and inputs", common,
      o, action);
  add_data(*sub, *o, "calib",
           "Data that ranges of integer layers are first observed on, instead of --train");
}

}  // namespace lapidary::cli
