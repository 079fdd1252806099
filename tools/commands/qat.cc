#include "tools/training_verb.h"

namespace lapidary::cli {

void add_qat(CLI::App& app, Common& common, Action& action) {
  auto o = std::make_shared<Verb>();
  CLI::App* sub = add_training_verb(
      app, "qat", "Trains a model with its quantization simulated: 2 to 8 bits", common, o, action);
  add_data(*sub, *o, "calib", "Data that ranges are first observed on, instead of --train");
}

}  // namespace lapidary::cli
